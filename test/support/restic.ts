import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { createTemporaryFolder } from "../../src/objectstore/testing/index.ts";

const TOOLS = join(import.meta.dirname, "../../.tools/restic");

interface FoundRestic {
  readonly version: string;
  readonly minor: number;
  readonly program: string;
}

/** What set-up unpacked and what is in PATH, oldest first, each version once. */
function findRestics(): readonly FoundRestic[] {
  const unpacked = existsSync(TOOLS)
    ? readdirSync(TOOLS).map((name) => join(TOOLS, name, "usr/bin"))
    : [];
  const found = new Map<string, FoundRestic>();
  for (const folder of [...(process.env["PATH"] ?? "").split(delimiter), ...unpacked]) {
    const program = join(folder, "restic");
    if (!existsSync(program)) continue;
    const { stdout } = spawnSync(program, ["version"], { encoding: "utf8" });
    const [, version, minor] = /^restic (\d+\.(\d+)\.\d+)/.exec(stdout) ?? [];
    if (version !== undefined) found.set(version, { version, minor: Number(minor), program });
  }
  return [...found.values()].sort((a, b) => a.minor - b.minor);
}

/** Throws where one is missing: a conformance test that would be skipped fails. */
function requireRestics(): readonly FoundRestic[] {
  const found = findRestics();
  const complete = found[0]?.minor === 14 && found.some(({ minor }) => minor >= 18);
  if (complete) return found;
  const versions = found.map(({ version }) => version).join(", ");
  throw new Error(
    `restic 0.14 and 0.18 or newer are needed, found: ${versions}; run npm run setup`,
  );
}

const RESTICS = requireRestics();
/** From 0.14, the oldest that we promise to work with, to the newest. */
export const RESTIC_VERSIONS = RESTICS.map(({ version }) => version);
/** `rewrite` came after 0.14. */
export const NEWER_RESTIC_VERSIONS = RESTICS.filter(({ minor }) => minor >= 18).map(
  ({ version }) => version,
);
export const OLDEST_RESTIC = RESTIC_VERSIONS[0] ?? "";
export const NEWEST_RESTIC = RESTIC_VERSIONS.at(-1) ?? "";

export interface ResticResult {
  readonly code: number;
  readonly stdout: string;
  readonly stdoutBytes: Buffer;
  readonly stderr: string;
}

export interface ResticOptions {
  readonly cwd?: string;
  readonly input?: Uint8Array;
  /** Exit codes that are no failure; 0 by default. */
  readonly codes?: readonly number[];
}

export interface Restic extends AsyncDisposable {
  readonly version: string;
  /** Throws with restic's own words unless it ends with an expected code. */
  run(arguments_: readonly string[], options?: ResticOptions): Promise<ResticResult>;
  /** The last JSON document, or every line's where the command prints lines. */
  json(arguments_: readonly string[]): Promise<unknown>;
  jsonLines(arguments_: readonly string[]): Promise<readonly unknown[]>;
  /** Running until it ends or is killed; the caller waits for it. */
  start(arguments_: readonly string[]): ChildProcess;
  /** The same repository with another password. */
  withPassword(password: string): Promise<Restic>;
  readonly passwordFile: string;
}

/** restic on one repository: its password in a file of its own, a private cache, nothing from the environment. */
export async function createRestic(
  version: string,
  repository: string,
  password: string,
  /** Besides what restic always gets: credentials of a store. */
  extraEnv: Readonly<Record<string, string>> = {},
): Promise<Restic> {
  const program = RESTICS.find((restic) => restic.version === version)?.program;
  if (program === undefined) throw new Error(`no restic ${version}`);
  const folder = await createTemporaryFolder();
  const passwordFile = join(folder.path, "password");
  await writeFile(passwordFile, password, { mode: 0o600 });
  await mkdir(join(folder.path, "home"));
  const home = join(folder.path, "home");
  const env = { HOME: home, PATH: "/usr/bin:/bin", TMPDIR: folder.path, ...extraEnv };
  const common = ["--repo", repository, "--password-file", passwordFile];
  const cache = ["--cache-dir", join(folder.path, "cache")];
  const start = (arguments_: readonly string[], cwd?: string): ChildProcess =>
    spawn(program, [...common, ...cache, ...arguments_], {
      env,
      stdio: "pipe",
      // A group of its own: the kernel hangs up on a group in which one process was stopped and another one ends.
      detached: true,
      ...(cwd === undefined ? {} : { cwd }),
    });
  const run = async (arguments_: readonly string[], options: ResticOptions = {}) => {
    const result = await finish(start(arguments_, options.cwd), options.input);
    if ((options.codes ?? [0]).includes(result.code)) return result;
    const said = `${result.stderr}\n${result.stdout.slice(-2_000)}`;
    throw new Error(
      `restic ${version} ${arguments_.join(" ")} ended with ${result.code}:\n${said}`,
    );
  };
  const jsonLines = async (arguments_: readonly string[]): Promise<readonly unknown[]> => {
    const { stdout } = await run([...arguments_, "--json"]);
    return stdout
      .split("\n")
      .filter((line) => line.startsWith("{") || line.startsWith("["))
      .map((line): unknown => JSON.parse(line));
  };
  return {
    version,
    passwordFile,
    run,
    start,
    jsonLines,
    json: async (arguments_) => (await jsonLines(arguments_)).at(-1),
    withPassword: (other) => createRestic(version, repository, other, extraEnv),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

export function finish(child: ChildProcess, input?: Uint8Array): Promise<ResticResult> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on("data", (bytes: Buffer) => out.push(bytes));
  child.stderr?.on("data", (bytes: Buffer) => err.push(bytes));
  // A restic that ends before it read all of its input says why by its exit code.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(input);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      const stdoutBytes = Buffer.concat(out);
      resolve({
        code: code ?? -1,
        stdoutBytes,
        stdout: stdoutBytes.toString(),
        stderr: Buffer.concat(err).toString() + (signal === null ? "" : `\nended by ${signal}`),
      });
    });
  });
}
