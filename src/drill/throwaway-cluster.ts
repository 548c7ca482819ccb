/**
 * A PostgreSQL of our own for one drill: a folder that only its user enters, a unix socket in it and no port, a superuser
 * whose name no dump can mention. Gone when it is disposed, when we are ended, and (by a shell that outlives us by a
 * moment) when we are killed.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, rmSync } from "node:fs";
import { chown, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Secret, throwIfAborted, toHex } from "../kernel/index.ts";
import type { Clock, RandomBytes } from "../kernel/index.ts";
import type { ClientTools } from "../postgres/index.ts";
import { collectOutput } from "../program/index.ts";
import { drillError } from "./errors.ts";
import type { ServerUser } from "./server-user.ts";

export interface ThrowawayCluster extends AsyncDisposable {
  /** Of the data, the socket and the log. */
  readonly folder: string;
  readonly superuser: string;
  url(database: string, role?: { readonly name: string; readonly password: string }): Secret;
}

export interface ThrowawayOptions {
  readonly tools: ClientTools;
  readonly user: ServerUser | undefined;
  /** Of the databases in it. */
  readonly encoding: string;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly signal: AbortSignal;
}

const INITDB_MS = 120_000;
const START_MS = 60_000;
const POLL_MS = 50;
const PORT = 5432;
const ENV = { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };

const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: "",
  port: String(PORT),
  max_connections: "20",
  shared_buffers: "64MB",
  maintenance_work_mem: "64MB",
  dynamic_shared_memory_type: "mmap",
  // Nothing in it outlives the drill.
  fsync: "off",
  full_page_writes: "off",
  synchronous_commit: "off",
  wal_level: "minimal",
  max_wal_senders: "0",
  autovacuum: "off",
  jit: "off",
};

/** Stops the server named last and removes the folder when its standard input ends without `done`. */
const GUARD = `
trap '' INT TERM HUP QUIT
pid=
while read -r verb value; do
  case "$verb" in
    pid) pid=$value ;;
    done) exit 0 ;;
  esac
done
if [ -n "$pid" ]; then
  kill -QUIT "$pid" 2>/dev/null
  n=0
  while kill -0 "$pid" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
  kill -KILL "$pid" 2>/dev/null
fi
rm -rf -- "$1"
`;

export async function startThrowaway(options: ThrowawayOptions): Promise<ThrowawayCluster> {
  throwIfAborted(options.signal);
  const { initdb, postgres } = options.tools;
  if (initdb === undefined || postgres === undefined) {
    throw drillError("server_missing", { message: "initdb and postgres" });
  }
  const folder = await mkdtemp(join(tmpdir(), "sk-drill-"));
  const guard = startGuard(folder);
  const running: { server?: ChildProcess } = {};
  const onExit = (): void => {
    running.server?.kill("SIGQUIT");
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", onExit);
  const close = async (): Promise<void> => {
    await stopServer(running.server);
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    await guard.release();
    process.off("exit", onExit);
  };
  try {
    const superuser = `boot_${toHex(options.random(8))}`;
    const password = toHex(options.random(24));
    await giveTo(folder, options.user);
    await initialise(options, initdb, { folder, superuser, password });
    running.server = start(postgres, folder, options.user);
    guard.watch(running.server.pid);
    await untilReady(running.server, folder, options);
    return {
      folder,
      superuser,
      url: (database, role = { name: superuser, password }) =>
        urlOf(join(folder, "socket"), database, role),
      [Symbol.asyncDispose]: close,
    };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

function urlOf(
  socket: string,
  database: string,
  role: { readonly name: string; readonly password: string },
): Secret {
  const [name, password, host, dbname] = [role.name, role.password, socket, database].map(
    encodeURIComponent,
  );
  return new Secret(`postgresql://${name}:${password}@${host}:${PORT}/${dbname}`);
}

interface Place {
  readonly folder: string;
  readonly superuser: string;
  readonly password: string;
}

async function initialise(
  { user, encoding, signal }: ThrowawayOptions,
  initdb: string,
  { folder, superuser, password }: Place,
): Promise<void> {
  for (const name of ["data", "socket"]) {
    await mkdir(join(folder, name), { mode: 0o700 });
    await giveTo(join(folder, name), user);
  }
  const passwordFile = join(folder, "password");
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600, flag: "wx" });
  await giveTo(passwordFile, user);
  const args = [
    `--pgdata=${join(folder, "data")}`,
    `--username=${superuser}`,
    `--pwfile=${passwordFile}`,
    "--auth=scram-sha-256",
    `--encoding=${encoding}`,
    "--locale=C",
    "--no-sync",
  ];
  await collectOutput({ program: initdb, args, cwd: folder, env: ENV, user, signal }, INITDB_MS);
  await rm(passwordFile);
}

/** In its own session: Ctrl-C on our terminal is ours to answer. */
function start(postgres: string, folder: string, user: ServerUser | undefined): ChildProcess {
  const settings = { ...SETTINGS, unix_socket_directories: join(folder, "socket") };
  const log = openSync(join(folder, "log"), "a", 0o600);
  const args = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const child = spawn(postgres, ["-D", join(folder, "data"), ...args], {
    cwd: folder,
    env: ENV,
    stdio: ["ignore", log, log],
    detached: true,
    ...user,
  });
  closeSync(log);
  // A program that cannot be started ends at once; the wait for it finds that.
  child.on("error", () => undefined);
  return child;
}

/** `postmaster.pid`, lines 1 and 8, is where pg_ctl looks as well. */
async function untilReady(
  server: ChildProcess,
  folder: string,
  { clock, signal }: ThrowawayOptions,
): Promise<void> {
  const statusFile = join(folder, "data", "postmaster.pid");
  const startedMs = clock.monotonicMs();
  while (clock.monotonicMs() - startedMs < START_MS) {
    throwIfAborted(signal);
    const lines = (await readFile(statusFile, "utf8").catch(emptyWhenAbsent)).split("\n");
    if (lines[0] === String(server.pid) && lines[7]?.trim() === "ready") return;
    if (hasEnded(server)) break;
    await clock.sleep(POLL_MS, signal);
  }
  const log = await readFile(join(folder, "log"), "utf8").catch(emptyWhenAbsent);
  throw drillError("cluster_failed", {
    message: `throwaway PostgreSQL that did not start: ${log.replaceAll(/[\p{Cc}\s]+/gu, " ").slice(-500)}`,
  });
}

function emptyWhenAbsent(error: unknown): string {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
  throw error;
}

function hasEnded(server: ChildProcess): boolean {
  return server.pid === undefined || server.exitCode !== null || server.signalCode !== null;
}

/** At once: what it holds is thrown away. */
async function stopServer(server: ChildProcess | undefined): Promise<void> {
  if (server === undefined || hasEnded(server)) return;
  const ended = once(server, "exit");
  server.kill("SIGQUIT");
  await ended;
}

async function giveTo(path: string, user: ServerUser | undefined): Promise<void> {
  if (user !== undefined) await chown(path, user.uid, user.gid);
}

function startGuard(folder: string): {
  watch(pid: number | undefined): void;
  release(): Promise<void>;
} {
  const child = spawn("/bin/sh", ["-c", GUARD, "sparekeep-guard", folder], {
    stdio: ["pipe", "ignore", "ignore"],
    cwd: "/",
    env: { PATH: "/usr/bin:/bin" },
    detached: true,
  });
  child.unref();
  // One that is gone cannot be told anything; our own clean-up does not depend on it.
  child.stdin.on("error", () => undefined);
  child.on("error", () => undefined);
  return {
    watch: (pid) => {
      if (pid !== undefined) child.stdin.write(`pid ${pid}\n`);
    },
    release: async () => {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
      child.ref();
      const ended = once(child, "exit");
      child.stdin.end("done\n");
      await ended;
    },
  };
}
