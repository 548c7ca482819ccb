import { AppError, equalBytes, KIND_RULES, throwIfAborted } from "../kernel/index.ts";
import type { Bytes, Clock, RandomBytes } from "../kernel/index.ts";
import { holdsLarge } from "./large.ts";
import { totalBytes } from "./keys.ts";
import type { ObjectStore, ObjectVersion, PutOptions, WaitOptions } from "./object-store.ts";

export interface RetryOptions {
  readonly clock: Pick<Clock, "monotonicMs" | "sleep">;
  readonly random: RandomBytes;
  /**
   * From the first failure of a call, of a listing from the first since it gave something; after it the last error is
   * thrown as it is. What takes long, and does not fail, spends nothing.
   */
  readonly deadlineMs: number;
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  readonly onRetry?: (error: AppError, attempt: number, delayMs: number) => void;
}

/** The only place where calls are repeated; what may be is the error kind's business (KIND_RULES). */
export function withRetry(store: ObjectStore, options: RetryOptions): ObjectStore {
  const repeat: Repeat = (wait, attempt) => attemptUntilDone(options, wait?.signal, attempt);
  return {
    location: store.location,
    put: (key, body, put) => repeat(put, (attempt) => putOnce(store, key, body, put, attempt > 1)),
    ...repeatedPutLarge(store, repeat),
    get: (key, wait) => repeat(wait, () => store.get(key, wait)),
    getRange: (key, range, wait) => repeat(wait, () => store.getRange(key, range, wait)),
    stat: (key, wait) => repeat(wait, () => store.stat(key, wait)),
    list: (prefix, wait) =>
      listAgain(
        () => store.list(prefix, wait),
        ({ key }) => key,
        createPatience(options, wait?.signal),
      ),
    remove: (key, wait) => repeat(wait, () => store.remove(key, wait)),
    ...repeatedExtras(store, options, repeat),
  };
}

type Repeat = <Result>(
  wait: WaitOptions | undefined,
  attempt: (number: number) => Promise<Result>,
) => Promise<Result>;

function repeatedPutLarge(store: ObjectStore, repeat: Repeat): Partial<ObjectStore> {
  const { putLarge } = store;
  if (putLarge === undefined) return {};
  return {
    putLarge: (key, body, options) =>
      repeat(options, async (attempt) => {
        try {
          await putLarge(key, body, options);
        } catch (thrown) {
          const taken = thrown instanceof AppError && thrown.code === "objectstore.exists";
          if (!taken || attempt === 1) throw thrown;
          if (!(await holdsLarge(store, key, body, options))) throw thrown;
        }
      }),
  };
}

function repeatedExtras(
  store: ObjectStore,
  options: RetryOptions,
  repeat: Repeat,
): Partial<ObjectStore> {
  const { lock, versions, connection, probe } = store;
  const nameOf = ({ key, version }: ObjectVersion): string => `${key}\n${version}`;
  return {
    ...(lock === undefined
      ? {}
      : {
          lock: {
            retentionOf: (key, wait) => repeat(wait, () => lock.retentionOf(key, wait)),
            extend: (key, retention, wait) => repeat(wait, () => lock.extend(key, retention, wait)),
          },
        }),
    ...(versions === undefined
      ? {}
      : {
          versions: {
            ...versions,
            list: (prefix, wait) =>
              listAgain(
                () => versions.list(prefix, wait),
                nameOf,
                createPatience(options, wait?.signal),
                ({ key }) => key,
              ),
            get: (key, version, wait) => repeat(wait, () => versions.get(key, version, wait)),
            getRange: (key, version, range, wait) =>
              repeat(wait, () => versions.getRange(key, version, range, wait)),
          },
        }),
    ...(connection === undefined ? {} : { connection }),
    ...(probe === undefined ? {} : { probe: (wait) => repeat(wait, () => probe(wait)) }),
  };
}

/**
 * A put that failed may have arrived all the same (the answer was lost). When the next attempt then finds the key
 * taken, what lies there is compared with what was sent: equal means that it was ours.
 */
async function putOnce(
  store: ObjectStore,
  key: string,
  body: readonly Bytes[],
  options: PutOptions | undefined,
  mayHaveArrived: boolean,
): Promise<void> {
  try {
    await store.put(key, body, options);
  } catch (thrown) {
    const taken = thrown instanceof AppError && thrown.code === "objectstore.exists";
    if (!taken || !mayHaveArrived) throw thrown;
    if (!(await holds(store, key, body, options))) throw thrown;
  }
}

async function holds(
  store: ObjectStore,
  key: string,
  body: readonly Bytes[],
  options: WaitOptions | undefined,
): Promise<boolean> {
  const found = await store.stat(key, options);
  if (found?.sizeBytes !== totalBytes(body)) return false;
  const bytes = await store.get(key, options);
  let offset = 0;
  for (const part of body) {
    if (!equalBytes(bytes.subarray(offset, offset + part.byteLength), part)) return false;
    offset += part.byteLength;
  }
  return offset === bytes.byteLength;
}

/**
 * Starts the listing again and leaves out what was already given: a listing has no promised order to go on from. Of a group,
 * which comes together, nothing more is given once another one has begun, so that it is not taken for two.
 */
async function* listAgain<Found>(
  list: () => AsyncIterable<Found>,
  nameOf: (found: Found) => string,
  patience: Patience,
  groupOf?: (found: Found) => string,
): AsyncIterable<Found> {
  const given = new Set<string>();
  const closed = new Set<string>();
  let open: string | undefined;
  for (;;) {
    try {
      for await (const found of list()) {
        const name = nameOf(found);
        const group = groupOf?.(found);
        if (given.has(name) || (group !== undefined && closed.has(group))) continue;
        given.add(name);
        if (open !== undefined && group !== open) closed.add(open);
        open = group;
        patience.renew();
        yield found;
      }
      return;
    } catch (thrown) {
      await patience.waitOrThrow(thrown);
    }
  }
}

/** For what is asked before there is a store to wrap. */
export async function attemptUntilDone<Result>(
  options: RetryOptions,
  signal: AbortSignal | undefined,
  attempt: (number: number) => Promise<Result>,
): Promise<Result> {
  const patience = createPatience(options, signal);
  for (let number = 1; ; number += 1) {
    try {
      return await attempt(number);
    } catch (thrown) {
      await patience.waitOrThrow(thrown);
    }
  }
}

interface Patience {
  /** Something came: what fails from now on has all of it again. */
  renew(): void;
  /** Waits before the next attempt, or throws what was thrown when another attempt would not help. */
  waitOrThrow(thrown: unknown): Promise<void>;
}

function createPatience(options: RetryOptions, signal: AbortSignal | undefined): Patience {
  let failedFirstMs: number | undefined;
  let failures = 0;
  let rereads = 0;
  const mayRetry = (error: AppError): boolean => {
    const rule = KIND_RULES[error.kind].retry;
    if (rule === "reread-once") {
      rereads += 1;
      return rereads === 1;
    }
    return rule !== "never";
  };
  return {
    renew: () => {
      failedFirstMs = undefined;
      failures = 0;
    },
    waitOrThrow: async (thrown) => {
      if (!(thrown instanceof AppError) || !mayRetry(thrown)) throw thrown;
      throwIfAborted(signal);
      failures += 1;
      const delayMs = Math.max(jitteredDelayMs(options, failures), askedDelayMs(thrown));
      failedFirstMs ??= options.clock.monotonicMs();
      const spentMs = options.clock.monotonicMs() - failedFirstMs;
      if (spentMs + delayMs > options.deadlineMs) throw thrown;
      options.onRetry?.(thrown, failures, delayMs);
      await options.clock.sleep(delayMs, signal).catch((reason: unknown) => {
        throwIfAborted(signal);
        throw reason;
      });
    },
  };
}

/** What the server asked for by `Retry-After`; beyond the deadline there is no further attempt. */
function askedDelayMs(error: AppError): number {
  const asked = error.subject["retryAfterMs"];
  return typeof asked === "number" ? asked : 0;
}

/** Doubles up to the maximum; between half of that and all of it, so that many waiting clients do not return at once. */
function jitteredDelayMs(options: RetryOptions, failures: number): number {
  const fullMs = Math.min(options.maxDelayMs, options.firstDelayMs * 2 ** (failures - 1));
  const share = (options.random(1)[0] ?? 0) / 255;
  return Math.round(fullMs * (0.5 + share / 2));
}
