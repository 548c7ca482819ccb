/**
 * Running a PostgreSQL client program: no shell, a minimal environment, the password in a private file that goes with
 * the program, an end that is judged.
 */
import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { rmSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { rootCertificates } from "node:tls";
import { throwIfAborted } from "../kernel/index.ts";
import type { Bytes, Secret } from "../kernel/index.ts";
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
  /** Session settings of the program's connections. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly stdin?: AsyncIterable<Bytes>;
  /** Each warning of a program that ended well: what it left out or could not make sense of. */
  readonly onWarning?: (text: string) => void;
  readonly signal?: AbortSignal | undefined;
}

const MAX_STDERR_BYTES = 16 * 1024;
const STOP_TIMEOUT_MS = 5_000;

type Child = ChildProcessByStdio<Writable | null, Readable, Readable>;

/**
 * What the program writes to stdout, with back-pressure. Ends only when the program ended with 0; anything else is
 * `postgres.program_failed` with the last lines of its stderr. A consumer that stops early, or an abort, ends the
 * program; it is gone when this returns.
 */
export async function* runClientProgram(
  options: ClientProgram,
): AsyncGenerator<Bytes, void, undefined> {
  throwIfAborted(options.signal);
  const folder = await mkdtemp(join(tmpdir(), "sparekeep-"));
  const running: { child?: Child } = {};
  // A process that ends at once (a second Ctrl-C) leaves neither the password's file nor the program behind.
  const onExit = (): void => {
    running.child?.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", onExit);
  try {
    const child = await start(options, folder);
    running.child = child;
    const ended = exitOf(child);
    using _abort = killOnAbort(child, options.signal);
    const stderr = collectTail(child.stderr);
    const fed = feed(child, options.stdin);
    let drainedToEnd = false;
    try {
      yield* child.stdout;
      drainedToEnd = true;
    } catch (error) {
      throwIfAborted(options.signal);
      throw error;
    } finally {
      // A program that has closed its stdout is about to end by itself: ending it now would make a failure of it.
      if (!drainedToEnd) await stop(child, ended);
    }
    const exit = await ended;
    throwIfAborted(options.signal);
    const failed = await fed;
    if (failed !== undefined) throw failed.thrown;
    judge(options, exit, redact(await stderr, options));
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

async function start(options: ClientProgram, folder: string): Promise<Child> {
  const env: Record<string, string> = { LC_ALL: "C", PGCLIENTENCODING: "UTF8", HOME: folder };
  const args = [...options.args];
  if (options.url !== undefined) {
    const target = parseTarget(options.url);
    const passfile = await writePassfile(folder, target);
    const rootCert = await trustedRoots(folder, target);
    const name = basename(options.program);
    args.push(
      `--dbname=${formatKeywords([
        ...keywordsOf(target).filter(([key]) => key !== "sslrootcert"),
        ["sslrootcert", rootCert],
        ["passfile", passfile],
        ["application_name", `sparekeep ${name}`],
        ["connect_timeout", "15"],
        ["options", sessionOptions(options.settings ?? {})],
      ])}`,
    );
  }
  const common = { cwd: folder, env };
  return options.stdin === undefined
    ? spawn(options.program, args, { ...common, stdio: ["ignore", "pipe", "pipe"] })
    : spawn(options.program, args, { ...common, stdio: ["pipe", "pipe", "pipe"] });
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

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly error?: Error;
}

function exitOf(child: Child): Promise<Exit> {
  const { promise, resolve } = Promise.withResolvers<Exit>();
  child.once("error", (error) => resolve({ code: null, signal: null, error }));
  child.once("close", (code, signal) => resolve({ code, signal }));
  return promise;
}

function killOnAbort(child: Child, signal: AbortSignal | undefined): Disposable {
  const stops: (() => void)[] = [];
  const onAbort = (): void => {
    stops.push(terminate(child));
  };
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  return {
    [Symbol.dispose]: () => {
      signal?.removeEventListener("abort", onAbort);
      for (const stop of stops) stop();
    },
  };
}

/** Told to end, and killed when it does not; the result calls the killing off. */
function terminate(child: Child): () => void {
  child.kill("SIGTERM");
  const deadline = AbortSignal.timeout(STOP_TIMEOUT_MS);
  const kill = (): void => {
    child.kill("SIGKILL");
  };
  deadline.addEventListener("abort", kill);
  return () => deadline.removeEventListener("abort", kill);
}

async function stop(child: Child, ended: Promise<Exit>): Promise<void> {
  const callOff = terminate(child);
  await ended;
  callOff();
}

async function collectTail(stderr: Readable): Promise<string> {
  let tail = Buffer.alloc(0);
  for await (const chunk of stderr) {
    tail = Buffer.concat([tail, Buffer.from(chunk)]).subarray(-MAX_STDERR_BYTES);
  }
  return tail.toString("utf8");
}

/**
 * Gives what the source of the content threw. The program is killed before its stdin closes: an end of file would tell
 * it that half of the content is all of it. A closed pipe is no error here; the program's own exit tells.
 */
async function feed(
  child: Child,
  content: AsyncIterable<Bytes> | undefined,
): Promise<{ readonly thrown: unknown } | undefined> {
  const { stdin } = child;
  if (stdin === null || content === undefined) return undefined;
  stdin.on("error", () => undefined);
  try {
    for await (const chunk of content) {
      if (!stdin.writable) return undefined;
      if (!stdin.write(chunk)) await drained(stdin);
    }
  } catch (thrown) {
    child.kill("SIGKILL");
    return { thrown };
  }
  stdin.end();
  return undefined;
}

function drained(stdin: Writable): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = (): void => {
    stdin.off("drain", done);
    stdin.off("close", done);
    resolve();
  };
  stdin.on("drain", done);
  stdin.on("close", done);
  return promise;
}

function redact(text: string, options: ClientProgram): string {
  const password =
    options.url === undefined ? undefined : parseTarget(options.url).password?.reveal();
  return password === undefined || password === "" ? text : text.replaceAll(password, "[redacted]");
}

function judge(options: ClientProgram, exit: Exit, stderr: string): void {
  const name = basename(options.program);
  if (exit.code === 0) {
    const mark = `${name}: warning: `;
    const warnings = stderr.split("\n").filter((line) => line.startsWith(mark));
    for (const line of warnings) options.onWarning?.(cleanText(line.slice(mark.length)));
    return;
  }
  const end = exit.signal ?? exit.error?.message ?? `exit code ${exit.code}`;
  const reason = cleanText(stderr.split("\n").slice(-6).join(" ")) || "no reason given";
  throw postgresError("program_failed", {
    message: `${name} ended with ${end}: ${reason}`,
    subject: { program: name, ...(exit.code === null ? {} : { exitCode: exit.code }) },
    ...(exit.error === undefined ? {} : { cause: exit.error }),
  });
}
