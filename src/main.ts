#!/usr/bin/env node
/** Composition root: the only reader of the environment, the only owner of the process. */
import { createWriteStream, fstatSync, readFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { homedir, hostname, userInfo } from "node:os";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { runCli } from "./cli/index.ts";
import type { CliRuntime } from "./cli/index.ts";
import { boundYoungGeneration, createLog, kernelError, MIB, systemClock } from "./kernel/index.ts";
import type { LogLevel } from "./kernel/index.ts";
import type { OperationContext } from "./operation/index.ts";
import { clientToolFolders } from "./postgres/index.ts";

const env = (name: string): string | undefined => process.env[name];

function productVersion(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return /"version":\s*"([^"]+)"/.exec(text)?.[1] ?? "unknown";
}

/** The first Ctrl-C lets everything under way end cleanly: locks are released. The second one does not wait. */
function interruptible(): AbortSignal {
  const controller = new AbortController();
  const interrupt = (signal: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort(
      kernelError("cancelled", { message: `interrupted by ${signal}`, subject: { signal } }),
    );
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  // `restic unlock` asks whether the owner of a lock lives by sending it SIGHUP: that must not end a backup.
  process.on("SIGHUP", () => undefined);
  return controller.signal;
}

function stateDirectory(): string {
  const xdg = env("XDG_STATE_HOME");
  const base = xdg?.startsWith("/") === true ? xdg : join(homedir(), ".local", "state");
  return join(base, "sparekeep");
}

/** Node's own stream for a file loses what a full disk leaves of a write that was begun: a file is written by this one. */
function standardOutput(): Writable {
  const fd = 1;
  return fstatSync(fd).isFile()
    ? createWriteStream("", { fd, autoClose: false, highWaterMark: MIB })
    : process.stdout;
}

function commandEnvironment(without: readonly string[]): Readonly<Record<string, string>> {
  const kept = Object.entries(process.env).flatMap(([name, value]) =>
    value === undefined || without.includes(name) ? [] : [[name, value] as const],
  );
  return Object.fromEntries(kept);
}

async function contextFor(signal: AbortSignal, logLevel: LogLevel): Promise<OperationContext> {
  return {
    clock: systemClock,
    random: (size) => randomBytes(size),
    log: createLog(logLevel),
    signal,
    actor: userInfo().username,
    hostname: hostname(),
    pid: process.pid,
    env,
    commandEnvironment,
    toolDirectories: await clientToolFolders(env("PATH")),
    stateDirectory: stateDirectory(),
    version: productVersion(),
  };
}

boundYoungGeneration();
const signal = interruptible();
const noColor = env("NO_COLOR") ?? "";
const runtime: CliRuntime = {
  stdin: process.stdin,
  stdout: standardOutput(),
  stderr: process.stderr,
  color: noColor === "" && env("TERM") !== "dumb",
  version: productVersion(),
  nodeVersion: process.version,
  signal,
  env,
  ownUid: process.getuid?.(),
  context: (logLevel) => contextFor(signal, logLevel),
};
process.exitCode = await runCli(process.argv.slice(2), runtime);
