import { AppError, toHex } from "../kernel/index.ts";
import type { RandomBytes } from "../kernel/index.ts";
import type { ObjectStore, StoreFacts, WaitOptions } from "./object-store.ts";

/** Beside what the repository holds; restic looks at no folder of this name. */
const FOLDER = "sparekeep/probe/";
const FIRST = Buffer.from("first");
const SECOND = Buffer.from("second");

export function probeKey(random: RandomBytes): string {
  return FOLDER + toHex(random(16));
}

/** What a probe needs of a driver. Each may throw what its store answers. */
export interface ConditionalWrites {
  readonly put: (key: string, body: Uint8Array, conditional: boolean) => Promise<void>;
  readonly remove: (key: string) => Promise<void>;
}

/** Writes one small object, tries to write it again on condition that it is absent, and removes it. */
export async function probeConditionalWrites(
  key: string,
  { put, remove }: ConditionalWrites,
): Promise<StoreFacts["conditionalWrites"]> {
  try {
    await put(key, FIRST, false);
  } catch (thrown) {
    return unknownWhereDenied(thrown);
  }
  try {
    await put(key, SECOND, true);
    return "ignored";
  } catch (thrown) {
    if (isCode(thrown, "exists")) return "honoured";
    if (isCode(thrown, "unsupported")) return "refused";
    return unknownWhereDenied(thrown);
  } finally {
    // Credentials of a backup may have no right to remove; the object is a few bytes, and nobody reads it.
    await remove(key).catch(unknownWhereDenied);
  }
}

export interface LockProbe {
  /** Writes an object and locks it in governance mode for a moment; answers with its version. */
  readonly putLocked: (key: string) => Promise<string>;
  readonly removeVersion: (key: string, version: string, bypass: boolean) => Promise<void>;
}

/** Locks an object for a moment and tries to remove it, without and with a bypass of governance mode. */
export async function probeLock(
  key: string,
  { putLocked, removeVersion }: LockProbe,
): Promise<Pick<StoreFacts, "lock" | "lockBypass">> {
  let version: string;
  try {
    version = await putLocked(key);
  } catch (thrown) {
    return { lock: unknownWhereDenied(thrown), lockBypass: "unknown" };
  }
  if (await isRemoved(() => removeVersion(key, version, false))) {
    return { lock: "not enforced", lockBypass: "unknown" };
  }
  return {
    lock: "enforced",
    lockBypass: await isRemoved(() => removeVersion(key, version, true)),
  };
}

async function isRemoved(remove: () => Promise<void>): Promise<boolean> {
  try {
    await remove();
    return true;
  } catch (thrown) {
    if (isCode(thrown, "denied")) return false;
    throw thrown;
  }
}

function isCode(thrown: unknown, code: string): boolean {
  return thrown instanceof AppError && thrown.code === `objectstore.${code}`;
}

function unknownWhereDenied(thrown: unknown): "unknown" {
  if (isCode(thrown, "denied")) return "unknown";
  throw thrown;
}

/** What a store does. One without a probe of its own is one of ours, and is tried through its interface. */
export async function probeStore(
  store: ObjectStore,
  random: RandomBytes,
  options: WaitOptions = {},
): Promise<StoreFacts> {
  if (store.probe !== undefined) return store.probe(options);
  const conditionalWrites = await probeConditionalWrites(probeKey(random), {
    put: (key, body, ifAbsent) => store.put(key, [body], { ...options, ifAbsent }),
    remove: (key) => store.remove(key, options),
  });
  return {
    conditionalWrites,
    lock: store.lock === undefined ? "none" : "unknown",
    lockBypass: "unknown",
    versioned: store.versions !== undefined,
  };
}
