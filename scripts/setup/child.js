import { spawn } from "node:child_process";
import process from "node:process";

/**
 * @typedef {{ code: number, output: string }} Ended
 * @typedef {{ cwd?: string, env?: NodeJS.ProcessEnv, signal?: AbortSignal }} RunOptions
 */

/**
 * Runs a program to its end, its output collected. An aborted signal ends it with SIGTERM and waits for it, so that
 * nothing writes any more when the caller cleans up.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {RunOptions} [options]
 * @returns {Promise<Ended>}
 */
export async function collect(command, args, options = {}) {
  options.signal?.throwIfAborted();
  // A process group of its own: Ctrl-C on the terminal reaches it only through the signal below, once.
  const child = spawn(command, args, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: options.env ?? process.env,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let output = "";
  const keep = (/** @type {Buffer} */ chunk) => {
    output = (output + chunk.toString("utf8")).slice(-200_000);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const end = () => endGroup(child.pid, "SIGTERM");
  options.signal?.addEventListener("abort", end, { once: true });
  try {
    const code = await endOf(child);
    options.signal?.throwIfAborted();
    return { code, output };
  } finally {
    options.signal?.removeEventListener("abort", end);
  }
}

/**
 * @param {import("node:child_process").ChildProcess} child
 * @returns {Promise<number>}
 */
function endOf(child) {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signalName) => resolve(code ?? exitCodeOfSignal(signalName)));
  });
}

/**
 * Whether the program is there and says yes.
 * @param {string} command
 * @param {readonly string[]} args
 */
export async function succeeds(command, args) {
  try {
    return (await collect(command, args)).code === 0;
  } catch {
    // Not there, or not for us to run: both mean no.
    return false;
  }
}

/**
 * Runs a program that talks to the person: terminal inherited, Ctrl-C left to it.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<number>}
 */
export function converse(command, args, options = {}) {
  return endOf(spawn(command, args, { env: options.env ?? process.env, stdio: "inherit" }));
}

/**
 * Runs the program that was asked for, terminal inherited, and answers with its exit code. It has a process group of
 * its own: a Ctrl-C that the terminal and npm both send reaches it once, not three times.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env: NodeJS.ProcessEnv, cwd?: string }} options
 * @returns {Promise<number>}
 */
export async function handOver(command, args, options) {
  const child = spawn(command, args, { ...options, stdio: "inherit", detached: true });
  const release = passSignals(child);
  try {
    return await endOf(child);
  } finally {
    release();
  }
}

const ONE_KEYSTROKE_MS = 400;

/** @param {import("node:child_process").ChildProcess} child */
function passSignals(child) {
  const passed = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP", "SIGWINCH"]);
  let lastMs = Number.NEGATIVE_INFINITY;
  const pass = (/** @type {NodeJS.Signals} */ name) => {
    if (name !== "SIGWINCH") {
      const nowMs = performance.now();
      if (nowMs - lastMs < ONE_KEYSTROKE_MS) return;
      lastMs = nowMs;
    }
    child.kill(name);
  };
  for (const name of passed) process.on(name, pass);
  return () => {
    for (const name of passed) process.off(name, pass);
  };
}

/** @param {NodeJS.Signals | null} name */
function exitCodeOfSignal(name) {
  const numbers = new Map([
    ["SIGHUP", 1],
    ["SIGINT", 2],
    ["SIGKILL", 9],
    ["SIGTERM", 15],
  ]);
  return 128 + (numbers.get(name ?? "") ?? 0);
}

/**
 * @param {number | undefined} pid
 * @param {NodeJS.Signals} signalName
 */
function endGroup(pid, signalName) {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signalName);
  } catch {
    // Gone already, which is what was wanted.
  }
}
