import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { startGuard } from "./guard.ts";

const ENV = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C.UTF-8", HOME: "/nonexistent" };

/** Where a server of several processes lives: its files, its processes, its logs; nothing is left when it is disposed. */
export interface ServerFolder extends AsyncDisposable {
  readonly path: string;
  /** A program that ends by itself; throws with its words unless it ends with 0. */
  run(program: string, arguments_: readonly string[]): Promise<string>;
  /** A daemon in the foreground, its output in `<name>.out`. */
  start(name: string, program: string, arguments_: readonly string[]): void;
  /** Throws with all logs' ends where a daemon ended or it takes too long. */
  until(what: string, ready: () => Promise<boolean>): Promise<void>;
}

/** The path is short: a unix socket's name takes 107 characters, and the caller's folders may be deep. */
export async function createServerFolder(name: string): Promise<ServerFolder> {
  const path = await mkdtemp(join("/tmp", `sparekeep-${name}-`));
  const guard = startGuard(path);
  const daemons: ChildProcess[] = [];
  const run = async (program: string, arguments_: readonly string[]): Promise<string> => {
    const child = spawn(program, arguments_, { env: ENV, cwd: path, stdio: "pipe" });
    const output = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
    child.stdin.end();
    await once(child, "close");
    if (child.exitCode === 0) return output.stdout;
    throw new Error(`${program} ${arguments_.join(" ")}: ${output.stderr}${output.stdout}`);
  };
  return {
    path,
    run,
    start: (daemon, program, arguments_) => {
      const log = openSync(join(path, `${daemon}.out`), "a");
      const stdio: ["ignore", number, number] = ["ignore", log, log];
      const child = spawn(program, arguments_, { env: ENV, cwd: path, stdio, detached: true });
      guard.watch(child.pid);
      daemons.push(child);
    },
    until: async (what, ready) => {
      for (let round = 0; round < 600; round += 1) {
        if (await ready()) return;
        if (daemons.some(hasEnded)) break;
        await pause(100);
      }
      throw new Error(`no ${what}:\n${await lastWords(path)}`);
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(daemons.toReversed().map(end));
      await rm(path, { recursive: true, force: true, maxRetries: 5 });
      await guard.release();
    },
  };
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Killed: what they hold is thrown away. */
async function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child) || child.pid === undefined) return;
  const closed = once(child, "exit");
  child.kill("SIGKILL");
  await closed;
}

async function lastWords(path: string): Promise<string> {
  const names = (await readdir(path)).filter((name) => /\.(?:out|log)$/.test(name));
  const ends = names.map(
    async (name) => `${name}: ${(await readFile(join(path, name), "utf8")).slice(-1_500)}`,
  );
  return (await Promise.all(ends)).join("\n");
}

/** Free at the moment; whoever starts on it finds out. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
