import { throwIfAborted } from "../kernel/index.ts";
import type { AppError, Bytes } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import { createHttpSender, isSuccess, statusError } from "./http.ts";
import type { HttpAnswer, HttpRequest } from "./http.ts";
import { emptyRange, rangeHeader, rangeOf } from "./http-range.ts";
import { createTurns } from "./in-turn.ts";
import type { ByteRange, ObjectStat, ObjectStore, WaitOptions } from "./object-store.ts";
import type { Rates } from "./rates.ts";
import { createRestDates } from "./rest-dates.ts";
import { listType } from "./rest-list.ts";
import { basicAuth, parseRestLocation } from "./rest-location.ts";
import { restPath, restTypes } from "./rest-paths.ts";
import { putObject } from "./rest-put.ts";
import type { Doubts } from "./rest-put.ts";
import type { StoreSettings } from "./settings.ts";
import { createTransport } from "./transport.ts";

export interface RestStoreOptions {
  readonly settings?: Pick<StoreSettings, "rest" | "tls">;
  readonly rates?: Rates | undefined;
  /** For tests. */
  readonly idleTimeoutMs?: number;
}

/** What the parts of the driver share. */
export interface RestClient {
  ask(
    method: HttpRequest["method"],
    path: string,
    options: WaitOptions | undefined,
    more?: Pick<HttpRequest, "headers" | "body">,
  ): Promise<HttpAnswer>;
  /** Size and age by HEAD. */
  stat(key: string, options: WaitOptions | undefined): Promise<ObjectStat | undefined>;
  remove(key: string, options: WaitOptions | undefined): Promise<void>;
}

/** restic's REST protocol, as rest-server and `rclone serve restic` speak it. docs/spec/objectstore.md §rest */
export function createRestStore(location: string, options: RestStoreOptions = {}): ObjectStore {
  const base = parseRestLocation(location);
  const authorization = basicAuth(options.settings?.rest ?? {});
  const headers = authorization === undefined ? {} : { authorization };
  const transport = createTransport(options.settings?.tls);
  const send = createHttpSender(transport, options);
  const dates = createRestDates();
  const inTurn = createTurns();
  const doubts: Doubts = new Set();

  const ask: RestClient["ask"] = (method, path, wait, more) =>
    send({
      method,
      url: new URL(path, base),
      what: `${method} of ${path}`,
      signal: wait?.signal,
      ...more,
      headers: { ...headers, ...more?.headers },
    });
  const stat: RestClient["stat"] = async (key, wait) => {
    const path = restPath(key);
    throwIfAborted(wait?.signal);
    if (path === undefined) return undefined;
    const answer = await ask("HEAD", path, wait);
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw statusError(answer, `look at ${key}`, { key });
    return { key, sizeBytes: lengthOf(answer, key), ...dates.of(key, answer.headers) };
  };
  const remove: RestClient["remove"] = async (key, wait) => {
    const path = restPath(key);
    throwIfAborted(wait?.signal);
    if (path === undefined) return;
    const answer = await ask("DELETE", path, wait);
    if (answer.status !== 404 && !isSuccess(answer)) {
      throw statusError(answer, `removal of ${key}`, { key });
    }
    dates.forget(key);
  };
  const client: RestClient = { ask, stat, remove };
  return {
    location: `rest:${base.href}`,
    put: async (key, body, put) => {
      const path = restPath(key);
      throwIfAborted(put?.signal);
      if (path === undefined) throw noPlace(key);
      await inTurn(key, put?.signal, () => putObject(client, { key, path, body }, put, doubts));
    },
    get: async (key, wait) => {
      const answer = await ask("GET", pathOf(key, wait), wait);
      if (answer.status !== 200) throw statusError(answer, `read of ${key}`, { key });
      return answer.body;
    },
    getRange: (key, range, wait) => getRange(client, key, range, wait),
    stat,
    list: async function* (prefix, wait) {
      const { types, config } = restTypes(prefix);
      throwIfAborted(wait?.signal);
      const found = config ? await stat("config", wait) : undefined;
      if (found !== undefined) yield found;
      const lister = { base, headers, send, dates, stat };
      for (const type of types) yield* listType(lister, type, prefix, wait);
    },
    remove,
    connection: transport.facts,
  };
}

/** A store that can hold no such object holds none. */
function pathOf(key: string, wait: WaitOptions | undefined): string {
  const path = restPath(key);
  throwIfAborted(wait?.signal);
  if (path !== undefined) return path;
  throw objectStoreError("not_found", { message: `no object ${key}`, subject: { key } });
}

function noPlace(key: string): AppError {
  return objectStoreError("no_place", {
    message: `object ${key}, for which restic's REST protocol has no place`,
    subject: { key },
  });
}

function lengthOf(answer: HttpAnswer, key: string): number {
  const text = answer.headers["content-length"];
  if (text !== undefined && /^\d+$/.test(text)) return Number(text);
  throw objectStoreError("unavailable", {
    message: `look at ${key} answered without a size`,
    subject: { key },
  });
}

async function getRange(
  client: RestClient,
  key: string,
  range: ByteRange,
  wait: WaitOptions | undefined,
): Promise<Bytes> {
  const path = pathOf(key, wait);
  if (range.length === 0) return emptyRange(await client.stat(key, wait), key, range);
  const answer = await client.ask("GET", path, wait, { headers: rangeHeader(range) });
  return rangeOf(answer, key, range, statusError);
}
