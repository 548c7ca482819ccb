import { createInterface } from "node:readline/promises";
import { cliError } from "./errors.ts";
import { printable } from "./printable.ts";
import type { CliRuntime } from "./runtime.ts";

/** Asks for `word` to be typed. Where nobody can type, the answer is no. */
export async function confirmByTyping(
  runtime: CliRuntime,
  question: string,
  word: string,
): Promise<void> {
  if (runtime.stdin.isTTY !== true) {
    throw cliError("not_confirmed", {
      message: "a plan that nobody confirmed: standard input is no terminal",
      hint: "Look at the plan, then run again with --yes.",
    });
  }
  const { stdin: input, stderr: output, signal } = runtime;
  const prompt = createInterface({ input, output, terminal: false });
  try {
    const closed = new AbortController();
    prompt.once("close", () => closed.abort());
    const answer = await prompt.question(`${question} `, {
      signal: AbortSignal.any([signal, closed.signal]),
    });
    if (answer.trim() === word) return;
  } catch (thrown) {
    if (signal.aborted || !(thrown instanceof Error) || thrown.name !== "AbortError") throw thrown;
    // The input ended before an answer did: not confirmed, as below.
  } finally {
    prompt.close();
  }
  throw cliError("not_confirmed", { message: `a plan not confirmed by typing ${printable(word)}` });
}
