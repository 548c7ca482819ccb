import type { Bytes, Clock } from "../../kernel/index.ts";
import { objectStoreError } from "../errors.ts";
import type { ObjectStat, ObjectStore, PutOptions, WaitOptions } from "../object-store.ts";

export type StoreOperation = "put" | "get" | "getRange" | "stat" | "list" | "remove";

export interface StoreCall {
  readonly operation: StoreOperation;
  /** The prefix of a `list`. */
  readonly key: string;
  /** 1 for the first call of this operation, and so on. */
  readonly number: number;
}

/** What goes wrong. A fault that makes no sense for an operation (a listing that is truncated) leaves it alone. */
export type Fault =
  /** `unavailable`; nothing happened. */
  | "fail-before"
  /** `unavailable`; it happened: the answer was lost. */
  | "fail-after"
  /** `full`; nothing happened. */
  | "full"
  /** The last byte is missing, from what is stored or from what is read, and nothing is said. */
  | "truncate"
  /** One bit in the middle is wrong, in what is stored or in what is read, and nothing is said. */
  | "flip"
  /** stat and list say one byte too many. */
  | "wrong-size"
  /** The newest object is not yet listed. */
  | "list-late"
  /** Half of the body lies under the key, and the put fails. */
  | "cut-body"
  /** `ifAbsent` is not heeded. */
  | "overwrite"
  /** Acknowledged and not done. */
  | "forget"
  /** The signal is not heeded. */
  | "deaf"
  /** Waits first, on the given clock. */
  | { readonly delayMs: number };

export interface FaultyStoreOptions {
  /** Asked for every call. */
  readonly decide: (call: StoreCall) => Fault | undefined;
  readonly clock?: Pick<Clock, "sleep">;
}

/** A store that lies, loses and fails as told: what a contract suite must notice and a writer must survive. */
export function createFaultyStore(inner: ObjectStore, options: FaultyStoreOptions): ObjectStore {
  const calls = new Map<StoreOperation, number>();
  let newestKey: string | undefined;
  const decide = (operation: StoreOperation, key: string): Fault | undefined => {
    const number = (calls.get(operation) ?? 0) + 1;
    calls.set(operation, number);
    return options.decide({ operation, key, number });
  };
  const around = async <Result>(
    fault: Fault | undefined,
    key: string,
    work: () => Promise<Result>,
  ): Promise<Result> => {
    if (fault === "fail-before") throw unavailable(key);
    if (fault === "full") throw objectStoreError("full", { message: `no space left for ${key}` });
    if (typeof fault === "object") await options.clock?.sleep(fault.delayMs);
    const result = await work();
    if (fault === "fail-after") throw unavailable(key);
    return result;
  };
  return {
    location: inner.location,
    put: (key, body, put) => {
      const fault = decide("put", key);
      newestKey = key;
      return around(fault, key, () => putWith(inner, fault, key, body, put));
    },
    get: (key, wait) => {
      const fault = decide("get", key);
      return around(fault, key, async () => spoil(await inner.get(key, heard(wait, fault)), fault));
    },
    getRange: (key, range, wait) => {
      const fault = decide("getRange", key);
      return around(fault, key, async () =>
        spoil(await inner.getRange(key, range, heard(wait, fault)), fault),
      );
    },
    stat: (key, wait) => {
      const fault = decide("stat", key);
      return around(fault, key, async () => {
        const found = await inner.stat(key, heard(wait, fault));
        return found === undefined ? undefined : missized(found, fault);
      });
    },
    list: (prefix, wait) =>
      listWith(inner, decide("list", prefix), prefix, heard(wait, undefined), newestKey),
    remove: (key, wait) => {
      const fault = decide("remove", key);
      return around(fault, key, async () => {
        if (fault !== "forget") await inner.remove(key, heard(wait, fault));
      });
    },
  };
}

function unavailable(key: string): Error {
  return objectStoreError("unavailable", { message: `planted fault at ${key}`, subject: { key } });
}

function heard(wait: WaitOptions | undefined, fault: Fault | undefined): WaitOptions | undefined {
  return fault === "deaf" ? undefined : wait;
}

async function putWith(
  inner: ObjectStore,
  fault: Fault | undefined,
  key: string,
  body: readonly Bytes[],
  options: PutOptions | undefined,
): Promise<void> {
  switch (fault) {
    case "truncate":
    case "flip":
      await inner.put(key, [spoil(Buffer.concat(body), fault)], options);
      break;
    case "cut-body": {
      const whole = Buffer.concat(body);
      await inner.put(key, [whole.subarray(0, whole.byteLength >> 1)], { ifAbsent: false });
      throw unavailable(key);
    }
    case "overwrite":
      await inner.put(key, body, { ...options, ifAbsent: false });
      break;
    case "forget":
      break;
    case "deaf":
      await inner.put(key, body, { ifAbsent: options?.ifAbsent ?? false });
      break;
    default:
      await inner.put(key, body, options);
  }
}

function spoil(bytes: Bytes, fault: Fault | undefined): Bytes {
  if (fault === "truncate") return bytes.subarray(0, Math.max(0, bytes.byteLength - 1));
  if (fault !== "flip" || bytes.byteLength === 0) return bytes;
  const flipped = Buffer.from(bytes);
  const middle = flipped.byteLength >> 1;
  flipped[middle] = (flipped[middle] ?? 0) ^ 0x10;
  return flipped;
}

function missized(found: ObjectStat, fault: Fault | undefined): ObjectStat {
  return fault === "wrong-size" ? { ...found, sizeBytes: found.sizeBytes + 1 } : found;
}

async function* listWith(
  inner: ObjectStore,
  fault: Fault | undefined,
  prefix: string,
  wait: WaitOptions | undefined,
  newestKey: string | undefined,
): AsyncIterable<ObjectStat> {
  if (fault === "fail-before") throw unavailable(prefix);
  for await (const found of inner.list(prefix, wait)) {
    if (fault === "list-late" && found.key === newestKey) continue;
    yield missized(found, fault);
    // The listing breaks off after its first object.
    if (fault === "fail-after") throw unavailable(prefix);
  }
}
