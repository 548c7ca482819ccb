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

/** With `--json` nobody is asked: the answer stands on the command line. */
export function requireAnswer(
  what: string,
  json: boolean,
  { yes, dryRun }: { readonly yes?: boolean | undefined; readonly dryRun?: boolean | undefined },
): void {
  if (!json || yes === true || dryRun === true) return;
  throw cliError("usage", {
    message: `${what} nobody to ask`,
    hint: "Add --yes, or --dry-run to see the plan.",
  });
}

const NAMES = {
  project: {
    other: "another reference than the project's",
    shown: "the reference",
    wanted: "the project's reference",
  },
  database: {
    other: "another name than the database's",
    shown: "the name of the database",
    wanted: "the database's name",
  },
} as const;

/** The name itself, typed or given by `--confirm`: no general yes changes what lives. */
export async function confirmByName(
  runtime: CliRuntime,
  { confirm, json }: { readonly confirm: string | undefined; readonly json: boolean },
  of: keyof typeof NAMES,
  { name, question }: { readonly name: string; readonly question: string },
): Promise<void> {
  const { other, shown, wanted } = NAMES[of];
  if (confirm === name) return;
  if (confirm !== undefined) {
    throw cliError("not_confirmed", {
      message: `--confirm with ${other}`,
      hint: `Look at the plan: --confirm takes ${shown} that it shows.`,
    });
  }
  if (json || runtime.stdin.isTTY !== true) {
    throw cliError("not_confirmed", {
      message: "a plan that nobody confirmed: there is nobody to ask",
      hint: `Look at the plan with --dry-run, then run again with --confirm and ${wanted}.`,
    });
  }
  await confirmByTyping(runtime, question, name);
}
