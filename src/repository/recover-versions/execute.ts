import { AppError, bug, equalBytes } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { requireVersions } from "../../objectstore/index.ts";
import type { ObjectStore, ObjectVersions } from "../../objectstore/index.ts";
import { repositoryError } from "../errors.ts";
import { inParallel } from "../parallel.ts";
import { CLASSES, hashNameOf, isNamed } from "./classes.ts";
import { WHOLE_OBJECTS } from "./plan.ts";
import type { PutBack, RecoverVersionsPlan } from "./plan.ts";

export interface RecoverVersionsOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: {
    readonly step: string;
    readonly doneBytes: number;
    readonly totalBytes: number;
  }) => void;
}

export interface RecoveredVersions {
  readonly outcome: "complete" | "incomplete";
  readonly putBack: number;
  readonly putBackBytes: number;
  readonly removed: number;
  /** Keys of which no whole version is left. */
  readonly issues: readonly { readonly key: string; readonly message: string }[];
}

const EXECUTED = new WeakSet<RecoverVersionsPlan>();

/**
 * Puts the old bytes over what is there: packs, then indexes, then keys and config, then snapshots, a class only when the
 * one before is durable, so that an interruption leaves no snapshot without its data. Each object is compared with the
 * hash that is its name before it is put and when it is read back. Nothing is overwritten for good: what was there becomes
 * an older version. After an interruption a new plan holds what is left.
 */
export async function executeRecoverVersions(
  store: ObjectStore,
  plan: RecoverVersionsPlan,
  options: RecoverVersionsOptions = {},
): Promise<RecoveredVersions> {
  if (EXECUTED.has(plan)) throw bug("plan of a recovery that was carried out before");
  EXECUTED.add(plan);
  const { signal, onProgress } = options;
  const versions = requireVersions(store);
  const totalBytes = plan.putBackBytes;
  const issues: { key: string; message: string }[] = [];
  let [putBack, doneBytes] = [0, 0];
  for (const step of CLASSES) {
    const items = plan.putBack.filter((item) => item.class === step);
    await inParallel(items, { lanes: WHOLE_OBJECTS, signal }, async (item) => {
      const bytes = await wholeBytes(versions, item, signal);
      if (bytes === undefined) {
        issues.push({ key: item.key, message: `${item.key} of which no whole version is left` });
        return;
      }
      await putAndReadBack(store, item.key, bytes, signal);
      putBack += 1;
      doneBytes += bytes.byteLength;
      onProgress?.({ step, doneBytes, totalBytes });
    });
  }
  const removed = plan.removesAdded ? await removeAdded(store, plan, signal) : 0;
  const outcome = issues.length === 0 ? "complete" : "incomplete";
  return { outcome, putBack, putBackBytes: doneBytes, removed, issues };
}

/** In the order of the plan: snapshots first, packs last. A removal leaves a mark, and the bytes below it. */
async function removeAdded(
  store: ObjectStore,
  { added }: RecoverVersionsPlan,
  signal: AbortSignal | undefined,
): Promise<number> {
  for (const { key } of added) await store.remove(key, signal === undefined ? {} : { signal });
  return added.length;
}

/** Of the version that the plan names, or of any other whose content is what the name says. */
async function wholeBytes(
  versions: ObjectVersions,
  { key, version }: PutBack,
  signal: AbortSignal | undefined,
): Promise<Bytes | undefined> {
  const planned = await bytesIfWhole(versions, key, version, signal);
  if (planned !== undefined || hashNameOf(key) === undefined) return planned;
  const options = signal === undefined ? {} : { signal };
  const folder = key.slice(0, key.lastIndexOf("/") + 1);
  for await (const other of versions.list(folder, options)) {
    if (other.key !== key || other.removed || other.version === version) continue;
    const bytes = await bytesIfWhole(versions, key, other.version, signal);
    if (bytes !== undefined) return bytes;
  }
  return undefined;
}

async function bytesIfWhole(
  versions: ObjectVersions,
  key: string,
  version: string,
  signal: AbortSignal | undefined,
): Promise<Bytes | undefined> {
  try {
    const bytes = await versions.get(key, version, signal === undefined ? {} : { signal });
    return isNamed(key, bytes) ? bytes : undefined;
  } catch (thrown) {
    // Deleted for good since the plan was made.
    if (thrown instanceof AppError && thrown.code === "objectstore.not_found") return undefined;
    throw thrown;
  }
}

async function putAndReadBack(
  store: ObjectStore,
  key: string,
  bytes: Bytes,
  signal: AbortSignal | undefined,
): Promise<void> {
  const options = signal === undefined ? {} : { signal };
  await store.put(key, [bytes], options);
  if (equalBytes(await store.get(key, options), bytes)) return;
  throw repositoryError("put_back_differs", {
    message: `object ${key}, read back: other bytes than were put back`,
    subject: { key },
  });
}
