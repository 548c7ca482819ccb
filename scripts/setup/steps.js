import { join } from "node:path";
import process from "node:process";
import { collect } from "./child.js";
import { ROOT } from "./place.js";

/**
 * Runs one step and prints its name, how long it took, and its output only where it failed.
 * @param {{ name: string, tool: string, args: readonly string[] }} step
 * @param {{ env: NodeJS.ProcessEnv, signal: AbortSignal }} options
 * @returns {Promise<boolean>}
 */
export async function passes({ name, tool, args }, { env, signal }) {
  const startedMs = performance.now();
  const program = join(ROOT, "node_modules", ".bin", tool);
  const colour = process.stdout.isTTY ? { FORCE_COLOR: "1" } : { NO_COLOR: "1" };
  const ended = await collect(program, args, { cwd: ROOT, env: { ...env, ...colour }, signal });
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  const passed = ended.code === 0;
  process.stdout.write(
    `${passed ? "ok  " : "FAIL"}  ${name.padEnd(12)} ${seconds.padStart(6)} s\n`,
  );
  if (!passed) process.stdout.write(`${ended.output.trimEnd()}\n\n`);
  return passed;
}
