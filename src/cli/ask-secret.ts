import { kernelError, Secret } from "../kernel/index.ts";
import { cliError } from "./errors.ts";
import type { CliRuntime } from "./runtime.ts";

const CTRL_C = "\u0003";
const CTRL_D = "\u0004";
const MAX_CHARACTERS = 4096;

/** Typed twice without an echo; asked again from the start where the two differ is the caller's user's business. */
export async function askNewSecret(
  runtime: CliRuntime,
  what: string,
  instead: string,
): Promise<Secret> {
  const first = await askSecret(runtime, what, instead);
  const second = await askSecret(runtime, `${what}, again`, instead);
  if (first.reveal() === second.reveal()) return first;
  throw cliError("usage", {
    message: `${what} typed twice in two ways`,
    hint: "Run it again.",
  });
}

/** Typed on the terminal without an echo. `instead`: the options that name a file or a variable. */
export async function askSecret(
  runtime: CliRuntime,
  what: string,
  instead: string,
): Promise<Secret> {
  const { stdin, stderr, signal } = runtime;
  if (stdin.isTTY !== true || stdin.setRawMode === undefined) {
    throw cliError("usage", {
      message: `${what} and no terminal to type it on`,
      hint: `Give one of ${instead}.`,
    });
  }
  stderr.write(`${what}: `);
  stdin.setRawMode(true);
  try {
    const typed = await readLine(stdin, signal);
    if (typed !== "") return new Secret(typed);
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write("\n");
  }
  throw cliError("usage", { message: `empty ${what}`, hint: "Run it again." });
}

function readLine(stdin: CliRuntime["stdin"], signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let typed = "";
  const cancel = (): void => reject(kernelError("cancelled", { message: "cancelled" }));
  const take = (chunk: Buffer | string): void => {
    const signs = Array.from(chunk.toString());
    for (const [index, sign] of signs.entries()) {
      if (sign === CTRL_C) {
        cancel();
        return;
      }
      if (sign === "\r" || sign === "\n" || sign === CTRL_D) {
        stdin.off("data", take);
        const rest = signs.slice(index + 1).join("");
        // Pasted: the answer to the next question.
        if (rest !== "") stdin.unshift(Buffer.from(rest));
        resolve(typed);
        return;
      }
      if (sign === "\u007F" || sign === "\b") typed = Array.from(typed).slice(0, -1).join("");
      else if (typed.length < MAX_CHARACTERS) typed += sign;
    }
  };
  const end = (): void => resolve(typed);
  // A stream that was paused before does not begin again by itself.
  stdin.on("data", take).once("end", end).resume();
  signal.addEventListener("abort", cancel, { once: true });
  return promise.finally(() => {
    stdin.off("data", take).off("end", end);
    signal.removeEventListener("abort", cancel);
  });
}
