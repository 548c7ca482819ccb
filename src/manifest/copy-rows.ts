import { concatBytes } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { manifestError } from "./errors.ts";

/** Splits a COPY stream into the bytes of its rows; `finish` throws when the stream ended inside one. */
export interface CopyRows {
  push(chunk: Bytes, onRow: (row: Bytes) => void): void;
  finish(): void;
}

const NEWLINE = 10;
/** PostgreSQL documentation, COPY, "Binary Format". */
const SIGNATURE = Buffer.from("PGCOPY\n\u00ff\r\n\0", "latin1");
const HEADER_BYTES = SIGNATURE.byteLength + 8;
const CRITICAL_FLAGS = 0xffff0000;

/** COPY text escapes a newline inside a value, so every raw one ends a row. */
export function createTextRows(): CopyRows {
  let pending: Bytes[] = [];
  return {
    push(chunk, onRow) {
      let from = 0;
      for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
        onRow(concatBytes([...pending, chunk.subarray(from, end)]));
        pending = [];
        from = end + 1;
      }
      if (from < chunk.byteLength) pending.push(chunk.slice(from));
    },
    finish() {
      if (pending.length > 0) throw truncated("COPY text ends inside a row");
    },
  };
}

export function createBinaryRows(): CopyRows {
  let pending: Bytes = new Uint8Array(0);
  let state: "header" | "rows" | "done" = "header";
  return {
    push(chunk, onRow) {
      let rest = Buffer.concat([pending, chunk]);
      if (state === "header") {
        const size = headerBytes(rest);
        if (size !== undefined) {
          state = "rows";
          rest = rest.subarray(size);
        }
      }
      while (state === "rows") {
        const size = rowBytes(rest);
        if (size === undefined) break;
        if (size === "trailer") {
          state = "done";
          rest = rest.subarray(2);
          break;
        }
        onRow(rest.subarray(0, size));
        rest = rest.subarray(size);
      }
      if (state === "done" && rest.byteLength > 0) {
        throw damaged("binary COPY goes on after its trailer");
      }
      pending = rest;
    },
    finish() {
      if (state !== "done") throw truncated("binary COPY ends before its trailer");
    },
  };
}

/** `undefined` while more is needed. */
function headerBytes(bytes: Buffer): number | undefined {
  const seen = Math.min(bytes.byteLength, SIGNATURE.byteLength);
  if (!bytes.subarray(0, seen).equals(SIGNATURE.subarray(0, seen))) {
    throw damaged("binary COPY without its signature");
  }
  if (bytes.byteLength < HEADER_BYTES) return undefined;
  if ((bytes.readUInt32BE(11) & CRITICAL_FLAGS) !== 0) {
    throw damaged("binary COPY with an unknown critical flag");
  }
  const extension = bytes.readInt32BE(15);
  if (extension < 0) throw damaged("binary COPY with a negative header extension");
  const size = HEADER_BYTES + extension;
  return size <= bytes.byteLength ? size : undefined;
}

function rowBytes(bytes: Buffer): number | "trailer" | undefined {
  if (bytes.byteLength < 2) return undefined;
  const fields = bytes.readInt16BE(0);
  if (fields === -1) return "trailer";
  if (fields < 0) throw damaged("binary COPY row with a negative field count");
  let at = 2;
  for (let field = 0; field < fields; field += 1) {
    if (at + 4 > bytes.byteLength) return undefined;
    const size = bytes.readInt32BE(at);
    if (size < -1) throw damaged("binary COPY field with a negative length");
    at += 4 + Math.max(size, 0);
  }
  return at <= bytes.byteLength ? at : undefined;
}

function truncated(message: string): Error {
  return manifestError("truncated_copy", { message });
}

function damaged(message: string): Error {
  return manifestError("damaged_copy", { message });
}
