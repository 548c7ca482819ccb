import { mkdir, mkdtemp, readdir, rename, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { runChild } from "./child.ts";
import type { InitdbOptions } from "./cluster.ts";
import { demoError } from "./errors.ts";
import { giveIdentifier } from "./system-identifier.ts";

export interface TemplateOptions extends InitdbOptions {
  readonly templateFolder: string;
  readonly initdb: (options: InitdbOptions) => Promise<void>;
}

/** Makes `data/` from an initialised cluster kept in the template folder (made on first use), with our superuser. */
export async function copyTemplate(options: TemplateOptions): Promise<void> {
  const template = join(options.templateFolder, await templateKey(options));
  const data = join(options.folder, "data");
  if (await exists(template)) await rmdir(data);
  else await makeTemplate(options, template);
  await copyFolder(template, data, options.signal);
  // Below 2^63: readers take it for a signed number.
  await giveIdentifier(options, data, randomBytes(8).readBigUInt64LE() >> 1n);
  await renameSuperuser(options, data);
}

async function templateKey(options: TemplateOptions): Promise<string> {
  const result = await runChild({
    program: options.programs.postgres,
    args: ["--version"],
    cwd: "/",
  });
  const version = /\d+[\w.]*/.exec(result.stdout)?.[0];
  if (version === undefined) {
    throw demoError("cluster_start", {
      message: `version of ${options.programs.postgres}: ${result.stdout}${result.stderr}`,
    });
  }
  return `cluster-${version}-${options.user.uid ?? process.getuid?.() ?? 0}`;
}

/** Initialised in a folder of its own and renamed into place, so that no half-made one is ever copied. */
async function makeTemplate(options: TemplateOptions, template: string): Promise<void> {
  await options.initdb(options);
  await mkdir(options.templateFolder, { recursive: true });
  const fresh = await mkdtemp(join(options.templateFolder, "new-"));
  try {
    await copyFolder(join(options.folder, "data"), join(fresh, "data"), options.signal);
    await rename(join(fresh, "data"), template);
  } catch (error) {
    // Someone else's identical one may have come first.
    if (!isTaken(error)) throw error;
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  await rm(join(options.folder, "data"), { recursive: true });
}

/** With owners and modes, which `fs.cp` does not keep. `to` must not exist. */
async function copyFolder(
  from: string,
  to: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const copied = await runChild({
    program: "/bin/cp",
    args: ["-Rp", from, to],
    cwd: "/",
    signal,
  });
  if (copied.exitCode !== 0) {
    throw demoError("cluster_start", { message: `copy of ${from}: ${copied.stderr}` });
  }
}

/** In single-user mode, which asks for no password; ALTER ROLE refuses to rename the session's own user. */
async function renameSuperuser(options: InitdbOptions, data: string): Promise<void> {
  const result = await runChild({
    program: options.programs.postgres,
    args: ["--single", "-j", "-D", data, "-c", "fsync=off", "template1"],
    cwd: data,
    user: options.user,
    stdin: [
      `ALTER ROLE CURRENT_USER PASSWORD '${options.password}'`,
      `UPDATE pg_authid SET rolname = '${options.superuser.replaceAll("'", "''")}' WHERE oid = 10`,
    ]
      .map((statement) => `${statement};\n\n`)
      .join(""),
    signal: options.signal,
    onStart: options.onStart,
  });
  if (result.exitCode !== 0 || /ERROR|FATAL/.test(result.stderr)) {
    throw demoError("cluster_start", { message: `rename of the superuser: ${result.stderr}` });
  }
}

async function exists(folder: string): Promise<boolean> {
  try {
    await readdir(folder);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}

function isTaken(error: unknown): boolean {
  return (
    error instanceof Error &&
    "code" in error &&
    (error.code === "ENOTEMPTY" || error.code === "EEXIST")
  );
}
