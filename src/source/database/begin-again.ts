/** A capture that has to begin again under a new snapshot: a few times, with nothing left of what it had stored. */
import { throwIfAborted } from "../../kernel/index.ts";
import type { AppError } from "../../kernel/index.ts";
import type { EntryPath, SnapshotWriter } from "../../repository/index.ts";
import type { Notices } from "./notices.ts";

/** Thrown where the snapshot is of no more use, and a new one may be. */
export class BeginAgain extends Error {
  readonly error: AppError;

  constructor(error: AppError) {
    super(error.message, { cause: error });
    this.error = error;
  }
}

const ATTEMPTS = 3;

/** What was read before lies in the repository already, and is not written again. */
export async function beginAgain<Result>(
  writer: SnapshotWriter,
  { notices, signal }: { readonly notices: Notices; readonly signal: AbortSignal | undefined },
  capture: (writer: SnapshotWriter) => Promise<Result>,
): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    const stored = new Map<string, EntryPath>();
    try {
      return await capture(tracking(writer, stored));
    } catch (error) {
      throwIfAborted(signal);
      if (!(error instanceof BeginAgain)) throw error;
      if (attempt === ATTEMPTS) throw error.error;
      for (const path of stored.values()) writer.discard(path);
      notices.say(`capture that began again under a new snapshot: ${error.error.message}`);
    }
  }
}

function tracking(writer: SnapshotWriter, stored: Map<string, EntryPath>): SnapshotWriter {
  const keyOf = (path: EntryPath): string => JSON.stringify(path.map((part) => String(part)));
  return {
    saveFile: async (path, content, metadata) => {
      const saved = await writer.saveFile(path, content, metadata);
      stored.set(keyOf(path), path);
      return saved;
    },
    discard: (path) => {
      writer.discard(path);
      stored.delete(keyOf(path));
    },
    commit: (options) => writer.commit(options),
    [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
  };
}
