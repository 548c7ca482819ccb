import { once } from "node:events";
import type { Writable } from "node:stream";
import type { Bytes } from "../kernel/index.ts";
import { cliError } from "./errors.ts";

/** Standard output with back-pressure. A reader that went away is an error of its own, which nothing is printed about. */
export interface Output {
  write(bytes: Bytes | string): Promise<void>;
  line(text?: string): Promise<void>;
  /** Throws what became of the last writes: a disk may be found full after the stream took them. */
  flush(): Promise<void>;
}

export function createOutput(stream: Writable, signal: AbortSignal): Output {
  let broken: Error | undefined;
  stream.on("error", (error) => {
    broken ??= error;
  });
  const write = async (bytes: Bytes | string): Promise<void> => {
    if (broken === undefined && !stream.write(bytes)) await drained(stream, signal);
    if (broken !== undefined) throw closed(broken);
  };
  const flush = async (): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    // Its turn comes when everything before it was written, or failed.
    stream.write("", (error) => {
      broken ??= error ?? undefined;
      resolve();
    });
    await promise;
    if (broken !== undefined) throw closed(broken);
  };
  return { write, line: (text = "") => write(`${text}\n`), flush };
}

async function drained(stream: Writable, signal: AbortSignal): Promise<void> {
  try {
    await once(stream, "drain", { signal });
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    throw closed(thrown);
  }
}

function closed(cause: unknown): Error {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code === "EPIPE") return cliError("output_closed", { message: "closed output", cause });
  return cliError("output_failed", {
    message: `standard output that cannot be written${typeof code === "string" ? `: ${code}` : ""}`,
    hint: "Check the disk or the program that the output goes to.",
    cause,
  });
}
