import type { SendHttp } from "./http.ts";
import { statusError } from "./http.ts";
import { objectStoreError } from "./errors.ts";
import { jsonItems } from "./json-items.ts";
import type { ObjectStat, WaitOptions } from "./object-store.ts";
import type { RestDates } from "./rest-dates.ts";
import { restKey } from "./rest-paths.ts";
import type { RestType } from "./rest-paths.ts";
import { throwIfAborted } from "../kernel/index.ts";

const LIST_V2 = "application/vnd.x.restic.rest.v2";

export interface RestLister {
  readonly base: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly send: SendHttp;
  readonly dates: RestDates;
  readonly stat: (key: string, options?: WaitOptions) => Promise<ObjectStat | undefined>;
}

/** Every object of one type below `prefix`. Version 2 gives names and sizes; version 1 names, and each size is asked for. */
export async function* listType(
  lister: RestLister,
  type: RestType,
  prefix: string,
  options: WaitOptions | undefined,
): AsyncIterable<ObjectStat> {
  const what = `listing of ${type}/`;
  const answer = await lister.send({
    method: "GET",
    url: new URL(`${type}/`, lister.base),
    headers: { ...lister.headers, accept: LIST_V2 },
    signal: options?.signal,
    what,
  });
  // Servers make the folders of a repository with its first file.
  if (answer.status === 404) return;
  if (answer.status !== 200) throw statusError(answer, what, { prefix });
  const withSizes = answer.headers["content-type"]?.startsWith(LIST_V2) === true;
  for (const item of itemsOf(answer.body, what)) {
    throwIfAborted(options?.signal);
    const { name, sizeBytes } = parseItem(item, withSizes, what);
    const key = restKey(type, name);
    // Foreign names are no keys: not listed, as restic does.
    if (key === undefined || !key.startsWith(prefix)) continue;
    if (sizeBytes !== undefined) yield { key, sizeBytes, ...lister.dates.of(key, answer.headers) };
    else {
      const found = await lister.stat(key, options);
      if (found !== undefined) yield found;
    }
  }
}

function* itemsOf(body: Uint8Array, what: string): Generator<unknown> {
  try {
    yield* jsonItems(body);
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError)) throw thrown;
    throw notList(what, thrown);
  }
}

function parseItem(
  item: unknown,
  withSizes: boolean,
  what: string,
): { readonly name: string; readonly sizeBytes?: number } {
  if (!withSizes && typeof item === "string") return { name: item };
  if (withSizes && typeof item === "object" && item !== null && "name" in item && "size" in item) {
    const { name, size } = item;
    if (typeof name === "string" && typeof size === "number" && Number.isSafeInteger(size)) {
      if (size >= 0) return { name, sizeBytes: size };
    }
  }
  throw notList(what);
}

function notList(what: string, cause?: unknown): Error {
  return objectStoreError("unavailable", {
    message: `${what} whose answer is no listing`,
    hint: "Check that the location names a server of restic's REST protocol.",
    cause,
  });
}
