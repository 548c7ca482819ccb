import { createHash } from "node:crypto";
import { AppError, equalBytes } from "../../kernel/index.ts";
import { DUMP_MANIFEST_SUFFIX, formatDumpManifest } from "../../manifest/index.ts";
import type { DumpManifest } from "../../manifest/index.ts";
import { putLarge, readLarge } from "../../objectstore/index.ts";
import type { ObjectStore } from "../../objectstore/index.ts";
import { saveDumpRecord } from "../../repository/index.ts";
import type { Repository } from "../../repository/index.ts";
import type { OperationContext } from "../context.ts";
import { operationError } from "../errors.ts";
import type { SpooledFile } from "./spool.ts";

export interface DumpToStore {
  readonly store: ObjectStore;
  readonly file: string;
  readonly ciphertext: SpooledFile;
  readonly manifest: Omit<DumpManifest, "completedAt" | "verified">;
  /** Where a sealed record of the manifest goes. */
  readonly records?: Repository;
}

/**
 * The file, read back; then its manifest, read back; then the record. Only when all of them are durable this returns. A
 * failure takes away what was stored: a file without a manifest is no dump, and where the store keeps it the error says so.
 */
export async function storeDump(
  context: OperationContext,
  dump: DumpToStore,
): Promise<DumpManifest> {
  const { store, file, ciphertext } = dump;
  const { signal, clock } = context;
  const manifestKey = `${file}${DUMP_MANIFEST_SUFFIX}`;
  const written: string[] = [];
  try {
    await putFile(dump, signal);
    written.push(file);
    await demandHash(store, file, ciphertext, signal);
    const now = clock.now().toISOString();
    const manifest: DumpManifest = {
      ...dump.manifest,
      completedAt: now,
      verified: { archive: "pg_restore -f -", readBackAt: now },
    };
    const bytes = formatDumpManifest(manifest);
    await store.put(manifestKey, [bytes], { ifAbsent: true, signal });
    written.push(manifestKey);
    if (!equalBytes(await store.get(manifestKey, { signal }), bytes)) {
      throw operationError("dump_differs", {
        message: `manifest ${manifestKey} as it was read back`,
      });
    }
    await saveRecord(dump, manifest, signal);
    return manifest;
  } catch (thrown) {
    // The manifest first: without it the file is no dump.
    await takeAway(store, written.toReversed(), thrown);
    throw thrown;
  }
}

/** What a lost answer leaves undecided is decided by looking: a file with these very bytes is ours, and goes. */
async function putFile(
  { store, file, ciphertext }: DumpToStore,
  signal: AbortSignal,
): Promise<void> {
  try {
    await putLarge(store, file, ciphertext, { ifAbsent: true, signal });
  } catch (thrown) {
    const taken = thrown instanceof AppError && thrown.code === "objectstore.exists";
    if (taken) {
      throw operationError("dump_exists", {
        message: `dump ${file}, which appeared at ${store.location} meanwhile`,
        subject: { file },
        cause: thrown,
      });
    }
    if (await isOurs(store, file, ciphertext)) await takeAway(store, [file], thrown);
    throw thrown;
  }
}

async function isOurs(store: ObjectStore, file: string, { sha256 }: SpooledFile): Promise<boolean> {
  try {
    return (await hashOf(store, file)) === sha256;
  } catch {
    // Not there, or the store is away as it was for the write: the error of the write tells.
    return false;
  }
}

async function demandHash(
  store: ObjectStore,
  file: string,
  { sha256, sizeBytes }: SpooledFile,
  signal: AbortSignal,
): Promise<void> {
  const found = await hashOf(store, file, signal);
  if (found === sha256) return;
  throw operationError("dump_differs", {
    message: `dump ${file} of ${sizeBytes} bytes, which the store gives back as something else`,
    subject: { file, sha256, found: found ?? "nothing" },
  });
}

/** Of all bytes that the store has under the name now; `undefined` where there is no such file. */
export async function hashOf(
  store: ObjectStore,
  file: string,
  signal?: AbortSignal,
  onRead?: (sizeBytes: number) => void,
): Promise<string | undefined> {
  const wait = signal === undefined ? {} : { signal };
  const found = await store.stat(file, wait);
  if (found === undefined) return undefined;
  const hash = createHash("sha256");
  let readBytes = 0;
  for await (const piece of readLarge(store, file, found.sizeBytes, wait)) {
    hash.update(piece);
    readBytes += piece.byteLength;
    onRead?.(readBytes);
  }
  return hash.digest("hex");
}

async function saveRecord(
  { records, store, file }: DumpToStore,
  manifest: DumpManifest,
  signal: AbortSignal,
): Promise<void> {
  if (records === undefined) return;
  const { location } = store;
  await saveDumpRecord(records, { location, file, manifest: { ...manifest } }, { signal });
}

/** Not stopped by an abort: what looks whole must not be left. */
async function takeAway(
  store: ObjectStore,
  keys: readonly string[],
  because: unknown,
): Promise<void> {
  for (const key of keys) {
    try {
      await store.remove(key);
    } catch (thrown) {
      const reason = because instanceof Error ? because.message : String(because);
      throw operationError("dump_left_behind", {
        message: `${reason}; and ${key} could not be removed from ${store.location}`,
        subject: { file: key },
        cause: new AggregateError([because, thrown]),
      });
    }
  }
}
