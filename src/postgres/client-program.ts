/**
 * Running a PostgreSQL client program: no shell, a minimal environment, the password in a private file that goes with
 * the program, an end that is judged.
 */
import { rmSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { rootCertificates } from "node:tls";
import { AppError, throwIfAborted } from "../kernel/index.ts";
import type { Bytes, Secret } from "../kernel/index.ts";
import { runProgram } from "../program/index.ts";
import type { ProgramExit } from "../program/index.ts";
import { postgresError } from "./errors.ts";
import { formatKeywords, keywordsOf, parseTarget } from "./target.ts";
import type { ConnectionTarget } from "./target.ts";
import { cleanText } from "./translate.ts";

export interface ClientProgram {
  /** Path from {@link findClientTools}. */
  readonly program: string;
  /** Never a secret. The connection is added as `--dbname=…`. */
  readonly args: readonly string[];
  /** Absent for a program that talks to no server. */
  readonly url?: Secret;
  /** In `pg_stat_activity`; `sparekeep <program>` where nothing is said. */
  readonly applicationName?: string;
  /** Session settings of the program's connections; left out where a pooler takes none. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly stdin?: AsyncIterable<Bytes>;
  /** Each warning of a program that ended well: what it left out or could not make sense of. */
  readonly onWarning?: (text: string) => void;
  /** Of a program that may end badly and have done its work all the same: asked before that is called a failure. */
  readonly tolerate?: (exit: ProgramExit, stderr: string) => boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * What the program writes to stdout, with back-pressure. Ends only when the program ended with 0; anything else is
 * `postgres.program_failed` with the last lines of its stderr. A consumer that stops early, or an abort, ends the
 * program; it is gone when this returns.
 */
export async function* runClientProgram(
  options: ClientProgram,
): AsyncGenerator<Bytes, void, undefined> {
  let begun = false;
  try {
    for await (const chunk of runOnce(options)) {
      begun = true;
      yield chunk;
    }
  } catch (error) {
    // A pooler that takes no settings at the start of a session; what the program reads, it was not sent yet.
    if (begun || options.stdin !== undefined || !refusesSettings(error)) throw error;
    const { settings: _refused, ...rest } = options;
    yield* runOnce(rest);
  }
}

function refusesSettings(error: unknown): boolean {
  return (
    error instanceof AppError &&
    error.code === "postgres.program_failed" &&
    /unsupported startup parameter/.test(error.message)
  );
}

async function* runOnce(options: ClientProgram): AsyncGenerator<Bytes, void, undefined> {
  throwIfAborted(options.signal);
  const folder = await mkdtemp(join(tmpdir(), "sparekeep-"));
  // A process that ends at once (a second Ctrl-C) does not leave the password's file behind.
  const onExit = (): void => rmSync(folder, { recursive: true, force: true });
  process.once("exit", onExit);
  try {
    yield* runProgram({
      program: options.program,
      args: await argumentsOf(options, folder),
      env: { LC_ALL: "C", PGCLIENTENCODING: "UTF8", HOME: folder },
      cwd: folder,
      stdin: options.stdin,
      signal: options.signal,
      judge: (exit, stderr) => judge(options, exit, redact(stderr, options)),
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
    process.off("exit", onExit);
  }
}

/** For programs whose output is short: at most `maxBytes` of it, as text. */
export async function clientProgramText(options: ClientProgram, maxBytes: number): Promise<string> {
  const parts: Bytes[] = [];
  let sizeBytes = 0;
  for await (const chunk of runClientProgram(options)) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > maxBytes) {
      throw postgresError("program_failed", {
        message: `${basename(options.program)} wrote more than ${maxBytes} bytes`,
      });
    }
    parts.push(chunk);
  }
  return Buffer.concat(parts).toString("utf8");
}

async function argumentsOf(options: ClientProgram, folder: string): Promise<readonly string[]> {
  if (options.url === undefined) return options.args;
  const target = parseTarget(options.url);
  const passfile = await writePassfile(folder, target);
  const rootCert = await trustedRoots(folder, target);
  const name = basename(options.program);
  const keywords = formatKeywords([
    ...keywordsOf(target).filter(([key]) => key !== "sslrootcert"),
    ["sslrootcert", rootCert],
    ["passfile", passfile],
    ["application_name", options.applicationName ?? `sparekeep ${name}`],
    ["connect_timeout", "15"],
    ["options", sessionOptions(options.settings ?? {})],
  ]);
  return [...options.args, `--dbname=${keywords}`];
}

function sessionOptions(settings: Readonly<Record<string, string>>): string | undefined {
  const pairs = Object.entries(settings);
  if (pairs.length === 0) return undefined;
  return pairs
    .map(([name, value]) => `-c ${name}=${value.replaceAll(/[\\ ]/g, String.raw`\$&`)}`)
    .join(" ");
}

async function writePassfile(folder: string, target: ConnectionTarget): Promise<string> {
  const path = join(folder, "passfile");
  const password = target.password?.reveal() ?? "";
  const line = `*:*:*:*:${password.replaceAll(/[\\:]/g, String.raw`\$&`)}\n`;
  await writeFile(path, target.password === undefined ? "" : line, { mode: 0o600, flag: "wx" });
  return path;
}

/** libpq before 16 knows no authorities of its own: it is given the ones that our own sessions trust. */
async function trustedRoots(folder: string, target: ConnectionTarget): Promise<string | undefined> {
  if (target.sslMode !== "verify-full") return undefined;
  if (target.sslRootCert !== undefined) return target.sslRootCert;
  const path = join(folder, "roots.pem");
  await writeFile(path, rootCertificates.join("\n"), { mode: 0o600, flag: "wx" });
  return path;
}

function redact(text: string, options: ClientProgram): string {
  const password =
    options.url === undefined ? undefined : parseTarget(options.url).password?.reveal();
  return password === undefined || password === "" ? text : text.replaceAll(password, "[redacted]");
}

/** pg_dump locks every table at once; the server's room for locks is fixed at its start. */
const MORE_LOCKS =
  "Raise max_locks_per_transaction on the server and restart it: times max_connections, it has to exceed the number of tables.";

function judge(options: ClientProgram, exit: ProgramExit, stderr: string): void {
  const name = basename(options.program);
  if (exit.code === 0) {
    const mark = `${name}: warning: `;
    const warnings = stderr.split("\n").filter((line) => line.startsWith(mark));
    for (const line of warnings) options.onWarning?.(cleanText(line.slice(mark.length)));
    return;
  }
  if (options.tolerate?.(exit, stderr) === true) return;
  const end = exit.signal ?? exit.error?.message ?? `exit code ${exit.code}`;
  const reason = cleanText(stderr.split("\n").slice(-6).join(" ")) || "no reason given";
  throw postgresError("program_failed", {
    message: `${name} ended with ${end}: ${reason}`,
    ...(stderr.includes("max_locks_per_transaction") ? { hint: MORE_LOCKS } : {}),
    subject: { program: name, ...(exit.code === null ? {} : { exitCode: exit.code }) },
    ...(exit.error === undefined ? {} : { cause: exit.error }),
  });
}
