import { createHash } from "node:crypto";
import { createReadStream, rmSync } from "node:fs";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MIB } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import type { LargeBody } from "../../objectstore/index.ts";
import { HEAD_BYTES } from "../../program/index.ts";
import { operationError } from "../errors.ts";

/** Ciphertext on its way, in a folder that only we can enter: never plaintext. Gone with dispose, and when we are ended. */
export interface Spool extends AsyncDisposable {
  readonly folder: string;
  write(piece: Bytes): Promise<void>;
  /** Nothing is written after it. */
  finish(): Promise<SpooledFile>;
}

export interface SpooledFile extends LargeBody {
  readonly sha256: string;
  /** Its first bytes. */
  readonly head: Bytes;
}

export async function createSpool(): Promise<Spool> {
  const folder = await mkdtemp(join(tmpdir(), "sparekeep-dump-"));
  const onExit = (): void => rmSync(folder, { recursive: true, force: true });
  process.once("exit", onExit);
  const path = join(folder, "ciphertext");
  const file = await open(path, "wx", 0o600);
  const [md5, sha256] = [createHash("md5"), createHash("sha256")];
  const head: Bytes[] = [];
  let sizeBytes = 0;
  return {
    folder,
    write: async (piece) => {
      try {
        await file.writeFile(piece);
      } catch (thrown) {
        throw unwritable(folder, thrown);
      }
      if (sizeBytes < HEAD_BYTES) head.push(Buffer.from(piece));
      md5.update(piece);
      sha256.update(piece);
      sizeBytes += piece.byteLength;
    },
    finish: async () => {
      await file.close().catch((thrown: unknown) => {
        throw unwritable(folder, thrown);
      });
      return {
        sizeBytes,
        md5: md5.digest(),
        sha256: sha256.digest("hex"),
        head: Buffer.concat(head).subarray(0, HEAD_BYTES),
        open: () => readFileBytes(path),
      };
    },
    [Symbol.asyncDispose]: async () => {
      // Closed already, or of no use any more: it is removed next.
      await file.close().catch(() => undefined);
      await rm(folder, { recursive: true, force: true });
      process.off("exit", onExit);
    },
  };
}

/** Opened when the first piece is asked for. */
export async function* readFileBytes(path: string): AsyncGenerator<Bytes, void, undefined> {
  const stream: AsyncIterable<Bytes> = createReadStream(path, { highWaterMark: MIB });
  yield* stream;
}

function unwritable(folder: string, cause: unknown): Error {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return operationError("spool_unwritable", {
    message: `encrypted dump that cannot be kept in ${folder}${typeof code === "string" ? `: ${code}` : ""}`,
    subject: { folder },
    cause,
  });
}
