import { hash } from "node:crypto";
import type { AppError, Bytes } from "../kernel/index.ts";
import { MIB } from "../kernel/index.ts";
import type { RepositoryCore } from "./core.ts";
import { IV_BYTES, openBytes, sealBytes } from "./crypto/sealed.ts";
import { repositoryError } from "./errors.ts";
import { compress, decompress } from "./seal.ts";

/**
 * Index, snapshot and lock files: byte 2 ‖ zstd(JSON), sealed, named by the SHA-256 of the sealed bytes. Uncompressed
 * JSON (first byte `{` or `[`) is accepted when reading. docs/spec/repository.md §unpacked
 */
const COMPRESSED_MARK = 2;
const UNPACKED_LEVEL = 3;

/** No file of ours comes near; restic's largest index is about 12 MiB of JSON. */
const LIMIT_BYTES = 64 * MIB;

export type UnpackedKind = "index" | "snapshot" | "lock";

const DAMAGED = {
  index: "index_damaged",
  snapshot: "snapshot_damaged",
  lock: "lock_damaged",
} as const;

/** The folders that hold these files; the key below it is the file's id. */
export const unpackedPrefix: Readonly<Record<UnpackedKind, string>> = {
  index: "index/",
  snapshot: "snapshots/",
  lock: "locks/",
};

export interface SavedUnpacked {
  readonly id: string;
  readonly sizeBytes: number;
}

/** Durable under the returned id when this returns. `beforePut` learns the id while nobody can see the file yet. */
export async function saveUnpacked(
  core: RepositoryCore,
  kind: UnpackedKind,
  json: Bytes,
  signal?: AbortSignal,
  beforePut?: (id: string) => Promise<void>,
): Promise<SavedUnpacked> {
  const sealed = sealUnpacked(core, json);
  const id = hash("sha256", sealed, "hex");
  await beforePut?.(id);
  await core.store.put(`${unpackedPrefix[kind]}${id}`, [sealed], {
    ifAbsent: true,
    ...(signal === undefined ? {} : { signal }),
  });
  return { id, sizeBytes: sealed.byteLength };
}

/** Byte 2 ‖ zstd(json), sealed: the form of index, snapshot and lock files. */
export function sealUnpacked(core: RepositoryCore, json: Bytes): Bytes {
  const packed = compress(json, UNPACKED_LEVEL);
  const plain = Buffer.allocUnsafeSlow(packed.byteLength + 1);
  plain[0] = COMPRESSED_MARK;
  plain.set(packed, 1);
  return sealBytes(plain, core.master.keys, core.random(IV_BYTES));
}

export async function loadUnpacked(
  core: RepositoryCore,
  kind: UnpackedKind,
  id: string,
  signal?: AbortSignal,
): Promise<Bytes> {
  return openOrReread(core, kind, id, await fetchUnpacked(core, kind, id, signal), signal);
}

/** As it is stored. */
export function fetchUnpacked(
  { store }: RepositoryCore,
  kind: UnpackedKind,
  id: string,
  signal?: AbortSignal,
): Promise<Bytes> {
  return store.get(`${unpackedPrefix[kind]}${id}`, signal === undefined ? {} : { signal });
}

/** Read again once, past whatever spoiled the first reading, before it is called damaged. */
export async function openOrReread(
  core: RepositoryCore,
  kind: UnpackedKind,
  id: string,
  sealed: Bytes,
  signal?: AbortSignal,
): Promise<Bytes> {
  const first = openUnpacked(core, id, sealed);
  if (typeof first !== "string") return first;
  const second = openUnpacked(core, id, await fetchUnpacked(core, kind, id, signal));
  if (typeof second !== "string") return second;
  throw unpackedDamage(kind, id, second);
}

export function unpackedDamage(kind: UnpackedKind, id: string, what: string): AppError {
  return repositoryError(DAMAGED[kind], {
    message: `${kind} ${id.slice(0, 8)} ${what}`,
    subject: { [kind]: id },
  });
}

/** The plaintext, or in words what is wrong with it. */
export function openUnpacked(core: RepositoryCore, id: string, sealed: Bytes): Bytes | string {
  if (hash("sha256", sealed, "hex") !== id) return "whose content is not what its name says";
  const plain = openBytes(sealed, core.master.keys);
  if (plain === undefined) return "that does not open with the repository's key";
  const mark = plain[0];
  if (mark === 0x7b || mark === 0x5b) return plain;
  if (mark !== COMPRESSED_MARK) return "of an unknown encoding";
  return decompress(plain.subarray(1), LIMIT_BYTES) ?? "whose compression is damaged";
}
