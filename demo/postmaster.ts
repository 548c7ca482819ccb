import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { CHILD_ENV } from "./child.ts";
import { demoError } from "./errors.ts";
import type { ServerPrograms } from "./programs.ts";
import type { ServerUser } from "./server-user.ts";

export interface PostmasterOptions {
  readonly programs: ServerPrograms;
  /** Holds `data/`, `socket/`; `log` is written there. */
  readonly folder: string;
  readonly user: ServerUser;
  readonly settings: Readonly<Record<string, string>>;
  readonly tcp: boolean;
  /** 0: any free one. */
  readonly port: number;
  readonly onStart: (pid: number | undefined) => void;
  readonly signal: AbortSignal | undefined;
}

export interface Postmaster {
  readonly pid: number;
  readonly port: number;
  stop(mode: "fast" | "immediate"): Promise<void>;
}

const ATTEMPTS = 8;
const POLL_MS = 15;
const STOP_SIGNAL = { fast: "SIGINT", immediate: "SIGQUIT" } as const;

/** Ready for connections when this returns. A port taken between our look and its start costs another attempt. */
export async function startPostmaster(options: PostmasterOptions): Promise<Postmaster> {
  for (let attempt = 1; ; attempt += 1) {
    const port = options.port === 0 ? await freePort() : options.port;
    const postmaster = await attemptStart(options, port);
    if (postmaster !== undefined) return postmaster;
    const log = await readFile(join(options.folder, "log"), "utf8");
    if (attempt === ATTEMPTS || !log.includes("Address already in use")) {
      throw demoError("cluster_start", {
        message: `postgres ended at its start: ${log.slice(-2000)}`,
      });
    }
  }
}

/** Undefined when it ended before it was ready; its log says why. */
async function attemptStart(
  options: PostmasterOptions,
  port: number,
): Promise<Postmaster | undefined> {
  options.signal?.throwIfAborted();
  const statusFile = join(options.folder, "data", "postmaster.pid");
  // What an immediate stop or a crash left behind must not be read as the new server's status.
  await rm(statusFile, { force: true });
  const logFile = openSync(join(options.folder, "log"), "a", 0o600);
  const child = spawn(options.programs.postgres, serverArguments(options, port), {
    cwd: options.folder,
    env: CHILD_ENV,
    stdio: ["ignore", logFile, logFile],
    // Its own session: Ctrl-C on our terminal is ours to answer.
    detached: true,
    ...options.user,
  });
  closeSync(logFile);
  const exited = once(child, "exit").then(() => true);
  const { pid } = child;
  if (pid === undefined) {
    await exited;
    return undefined;
  }
  options.onStart(pid);
  const stop = async (mode: "fast" | "immediate"): Promise<void> => {
    child.kill(STOP_SIGNAL[mode]);
    await exited;
  };
  const watch = new AbortController();
  const signals = [watch.signal, ...(options.signal === undefined ? [] : [options.signal])];
  try {
    const ready = untilReady(statusFile, pid, AbortSignal.any(signals));
    const ended = await Promise.race([exited, ready]);
    watch.abort();
    // When the server ended first, the look for its status ends by our own abort.
    if (ended) await ready.catch(() => undefined);
    return ended ? undefined : { pid, port, stop };
  } catch (error) {
    await stop("immediate");
    throw error;
  }
}

function serverArguments(options: PostmasterOptions, port: number): string[] {
  const settings = {
    ...options.settings,
    listen_addresses: options.tcp ? "127.0.0.1" : "",
    unix_socket_directories: join(options.folder, "socket"),
    port: String(port),
  };
  return [
    "-D",
    join(options.folder, "data"),
    ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
  ];
}

/** `postmaster.pid`, line 1 and line 8, is where pg_ctl looks as well. */
async function untilReady(statusFile: string, pid: number, signal: AbortSignal): Promise<false> {
  for (;;) {
    const lines = (await readFile(statusFile, "utf8").catch(emptyWhenAbsent)).split("\n");
    if (lines[0] === String(pid) && lines[7]?.trim() === "ready") return false;
    await delay(POLL_MS, undefined, { signal });
  }
}

function emptyWhenAbsent(error: unknown): string {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
  throw error;
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") {
    throw demoError("cluster_start", { message: "no free port on 127.0.0.1" });
  }
  return address.port;
}
