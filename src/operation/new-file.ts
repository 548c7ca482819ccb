import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import type { AppError, Bytes } from "../kernel/index.ts";
import { operationError } from "./errors.ts";

export interface NewFile extends AsyncDisposable {
  write(bytes: Bytes): Promise<void>;
  /** Content and name are durable when this returns. */
  sync(): Promise<void>;
}

/** A file that was not there before: `operation.file_exists` otherwise. */
export async function createNewFile(path: string, mode: number): Promise<NewFile> {
  let file: FileHandle;
  try {
    file = await open(path, "wx", mode);
  } catch (thrown) {
    throw codeOf(thrown) === "EEXIST" ? fileExists(path) : fileUnwritable(path, thrown);
  }
  const inWords = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (thrown) {
      throw fileUnwritable(path, thrown);
    }
  };
  return {
    write: (bytes) => inWords(() => file.writeFile(bytes)),
    sync: () =>
      inWords(async () => {
        await file.sync();
        await syncFolder(dirname(path));
      }),
    [Symbol.asyncDispose]: () => file.close(),
  };
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

export function fileExists(path: string): AppError {
  return operationError("file_exists", {
    message: `file ${path} that exists already`,
    subject: { file: path },
  });
}

export function fileUnwritable(path: string, cause: unknown): AppError {
  const code = codeOf(cause);
  return operationError("file_unwritable", {
    message: `file ${path} that cannot be written${typeof code === "string" ? `: ${code}` : ""}`,
    subject: { file: path },
    cause,
  });
}

function codeOf(thrown: unknown): unknown {
  return thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
}
