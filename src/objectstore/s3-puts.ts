import { AppError, throwIfAborted } from "../kernel/index.ts";
import type { Bytes, RandomBytes } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import { createTurns } from "./in-turn.ts";
import type { LargeBody, PutOptions, StoreFacts } from "./object-store.ts";
import { probeConditionalWrites, probeKey } from "./probe.ts";
import type { S3Access } from "./s3-client.ts";
import { putObject } from "./s3-put.ts";
import type { PutRequest } from "./s3-put.ts";
import { removeObject, statObject } from "./s3-read.ts";

type ConditionalWrites = StoreFacts["conditionalWrites"];

export interface Puts {
  put(
    key: string,
    body: readonly Bytes[] | LargeBody,
    options: PutOptions | undefined,
  ): Promise<void>;
  /** Asked once in the life of the store, with the first put that needs to know. */
  conditionalWrites(signal: AbortSignal | undefined): Promise<ConditionalWrites>;
}

export function createPuts(access: S3Access, random: RandomBytes): Puts {
  const inTurn = createTurns();
  let asked: Promise<ConditionalWrites> | undefined;
  // Several wait for one answer: who gives up leaves the others waiting, so that none's signal reaches it.
  const probeOnce = (): Promise<ConditionalWrites> => {
    asked ??= probe(access, random).catch((thrown: unknown) => {
      asked = undefined;
      throw thrown;
    });
    return asked;
  };
  const conditionalWrites: Puts["conditionalWrites"] = (signal) =>
    untilAborted(probeOnce(), signal);
  return {
    conditionalWrites,
    put: async (key, body, options = {}) => {
      const { signal, tier } = options;
      const request = { signal, ...(tier === undefined ? {} : { tier }) };
      if (options.ifAbsent !== true) return putObject(access, key, body, request);
      const writes = await conditionalWrites(signal);
      if (writes === "honoured") {
        return putObject(access, key, body, { ...request, conditional: true });
      }
      return inTurn(key, signal, () => lookAndPut(access, { key, body, request, writes }));
    },
  };
}

function probe(access: S3Access, random: RandomBytes): Promise<ConditionalWrites> {
  return probeConditionalWrites(probeKey(random), {
    put: (key, body, conditional) => putObject(access, key, [body], { conditional }),
    remove: (key) => removeObject(access, { key }),
  });
}

interface Put {
  readonly key: string;
  readonly body: readonly Bytes[] | LargeBody;
  readonly request: PutRequest;
  readonly writes: ConditionalWrites;
}

/**
 * Two processes that write one key may both succeed, and the later one stays: docs/spec/objectstore.md §s3 says what that
 * loses. Within this process there is one at a time.
 */
async function lookAndPut(access: S3Access, put: Put): Promise<void> {
  const { key, body, request, writes } = put;
  throwIfAborted(request.signal);
  if ((await statObject(access, { key, signal: request.signal })) !== undefined) {
    throw objectStoreError("exists", { message: `object ${key} already there`, subject: { key } });
  }
  if (writes !== "unknown") return putObject(access, key, body, request);
  try {
    // May help, and does no harm where it is ignored.
    await putObject(access, key, body, { ...request, conditional: true });
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== "objectstore.unsupported") throw thrown;
    await putObject(access, key, body, request);
  }
}

async function untilAborted<Result>(
  result: Promise<Result>,
  signal: AbortSignal | undefined,
): Promise<Result> {
  if (signal === undefined) return result;
  const aborted = Promise.withResolvers<never>();
  const stop = (): void => aborted.reject(new DOMException("aborted", "AbortError"));
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([result, aborted.promise]);
  } catch (thrown) {
    throwIfAborted(signal);
    throw thrown;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
