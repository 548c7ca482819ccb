import { createHash } from "node:crypto";
import { throwIfAborted } from "../kernel/index.ts";
import type { Bytes, RandomBytes } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import { fieldOf, googleError } from "./google-errors.ts";
import { parseGoogleLocation } from "./google-location.ts";
import { createGoogleTokens } from "./google-token.ts";
import { uploadBody } from "./google-upload.ts";
import { createHttpSender } from "./http.ts";
import type { HttpAnswer, HttpRequest } from "./http.ts";
import { emptyRange, rangeHeader, rangeOf } from "./http-range.ts";
import { unlessAborted } from "./in-turn.ts";
import { isKey, parseKey, parsePrefix, totalBytes } from "./keys.ts";
import type {
  ByteRange,
  LargeBody,
  ObjectStat,
  ObjectStore,
  PutOptions,
  WaitOptions,
} from "./object-store.ts";
import type { Rates } from "./rates.ts";
import type { StoreSettings } from "./settings.ts";
import { requireUsableClass } from "./storage-class.ts";
import { createTransport, serverUrl } from "./transport.ts";

export interface GoogleStoreOptions {
  readonly settings?: Pick<StoreSettings, "google" | "tls">;
  readonly rates?: Rates | undefined;
  readonly random: RandomBytes;
}

const ENDPOINT = "https://storage.googleapis.com";

/** What the parts of the driver share. */
interface GoogleClient {
  readonly bucket: string;
  readonly prefix: string;
  readonly storageClass: string | undefined;
  readonly random: RandomBytes;
  /** One request with a token; `path` is below the bucket: `o`, `o/NAME`. */
  ask(request: GoogleRequest, wait: WaitOptions | undefined): Promise<HttpAnswer>;
}

interface GoogleRequest extends Pick<HttpRequest, "headers" | "body" | "what"> {
  readonly method: HttpRequest["method"];
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly upload?: true;
}

/** Google Cloud Storage by its JSON API. docs/spec/objectstore.md §gs, docs/adr/0009-google-cloud-storage.md */
export function createGoogleStore(location: string, options: GoogleStoreOptions): ObjectStore {
  const { bucket, prefix } = parseGoogleLocation(location);
  const { google = {}, tls } = options.settings ?? {};
  if (google.storageClass !== undefined) {
    requireUsableClass("google", google.storageClass, {
      ownClasses: google.endpoint !== undefined,
    });
  }
  const endpoint = serverUrl(google.endpoint ?? ENDPOINT);
  const transport = createTransport(tls);
  const send = createHttpSender(transport, options);
  const tokenOf = createGoogleTokens(google.serviceAccount, send);
  const client: GoogleClient = {
    bucket,
    prefix,
    storageClass: google.storageClass,
    random: options.random,
    ask: async ({ method, path, query = {}, upload, headers, ...rest }, wait) => {
      throwIfAborted(wait?.signal);
      const asked = tokenOf();
      await unlessAborted(asked, wait?.signal);
      const url = new URL(
        `${upload === true ? "/upload" : ""}/storage/v1/b/${bucket}/${path}`,
        endpoint,
      );
      url.search = new URLSearchParams(query).toString();
      const authorization = `Bearer ${await asked}`;
      return send({
        method,
        url,
        signal: wait?.signal,
        ...rest,
        headers: { ...headers, authorization },
      });
    },
  };
  return {
    location: `gs://${bucket}/${prefix}`,
    put: (key, body, put) => putObject(client, key, body, put),
    putLarge: (key, body, put) => putObject(client, key, body, put),
    get: (key, wait) => getObject(client, key, wait),
    getRange: (key, range, wait) => getRange(client, key, range, wait),
    stat: (key, wait) => statObject(client, key, wait),
    list: (listed, wait) => listObjects(client, listed, wait),
    remove: (key, wait) => removeObject(client, key, wait),
    connection: transport.facts,
  };
}

function objectPath({ prefix }: GoogleClient, key: string): string {
  parseKey(key);
  return `o/${encodeURIComponent(prefix + key)}`;
}

/**
 * One multipart request: the metadata with the MD5 of the bytes, which Google compares before the object appears, and the
 * bytes. `ifGenerationMatch=0` lets exactly one of many writers win.
 */
async function putObject(
  client: GoogleClient,
  key: string,
  body: readonly Bytes[] | LargeBody,
  put: PutOptions | undefined,
): Promise<void> {
  parseKey(key);
  const md5Hash = md5Of(body);
  const sizeBytes = "open" in body ? body.sizeBytes : totalBytes(body);
  const bulk = put?.tier === "bulk" && client.storageClass !== undefined;
  const { parts, contentType } = uploadBody(
    {
      name: client.prefix + key,
      md5Hash,
      contentType: "application/octet-stream",
      ...(bulk ? { storageClass: client.storageClass } : {}),
    },
    body,
    client.random,
  );
  const what = `write of ${key}`;
  const answer = await client.ask(
    {
      method: "POST",
      path: "o",
      upload: true,
      query: {
        uploadType: "multipart",
        fields: "size,md5Hash",
        ...(put?.ifAbsent === true ? { ifGenerationMatch: "0" } : {}),
      },
      headers: { "content-type": contentType },
      body: parts,
      what,
    },
    put,
  );
  if (answer.status === 404) throw noBucket(client, what);
  if (answer.status !== 200) throw googleError(answer, what, { key });
  const stored = jsonOf(answer, what);
  if (fieldOf(stored, "size") === `${sizeBytes}` && fieldOf(stored, "md5Hash") === md5Hash) return;
  throw objectStoreError("unavailable", {
    message: `object ${key} of another size or checksum than was written`,
    subject: { key },
  });
}

function md5Of(body: readonly Bytes[] | LargeBody): string {
  if ("open" in body) return Buffer.from(body.md5).toString("base64");
  const digest = createHash("md5");
  for (const part of body) digest.update(part);
  return digest.digest("base64");
}

async function getObject(
  client: GoogleClient,
  key: string,
  wait: WaitOptions | undefined,
): Promise<Bytes> {
  const what = `read of ${key}`;
  const path = objectPath(client, key);
  const answer = await client.ask({ method: "GET", path, query: { alt: "media" }, what }, wait);
  if (answer.status !== 200) throw googleError(answer, what, { key });
  const said = /(?:^|,)\s*md5=([A-Za-z0-9+/=]+)/.exec(hashesOf(answer))?.[1];
  const md5 = createHash("md5").update(answer.body).digest("base64");
  if (said === undefined || said === md5) return answer.body;
  throw objectStoreError("unavailable", {
    message: `read of ${key} whose bytes do not match their checksum`,
    subject: { key },
  });
}

function hashesOf({ headers }: HttpAnswer): string {
  const hashes = headers["x-goog-hash"] ?? "";
  return typeof hashes === "string" ? hashes : hashes.join(",");
}

async function getRange(
  client: GoogleClient,
  key: string,
  range: ByteRange,
  wait: WaitOptions | undefined,
): Promise<Bytes> {
  const path = objectPath(client, key);
  if (range.length === 0) return emptyRange(await statObject(client, key, wait), key, range);
  const headers = rangeHeader(range);
  const what = `read of ${key}`;
  const answer = await client.ask(
    { method: "GET", path, query: { alt: "media" }, headers, what },
    wait,
  );
  return rangeOf(answer, key, range, googleError);
}

async function statObject(
  client: GoogleClient,
  key: string,
  wait: WaitOptions | undefined,
): Promise<ObjectStat | undefined> {
  const what = `look at ${key}`;
  const path = objectPath(client, key);
  const query = { fields: "name,size,timeCreated" };
  const answer = await client.ask({ method: "GET", path, query, what }, wait);
  if (answer.status === 404) return undefined;
  if (answer.status !== 200) throw googleError(answer, what, { key });
  const { name, ...found } = parseStat(jsonOf(answer, what), what);
  if (name !== client.prefix + key) throw noAnswer(what);
  return { key, ...found };
}

async function* listObjects(
  client: GoogleClient,
  prefix: string,
  wait: WaitOptions | undefined,
): AsyncIterable<ObjectStat> {
  parsePrefix(prefix);
  const what = `listing of ${prefix === "" ? "all" : prefix}`;
  const fields = "kind,nextPageToken,items(name,size,timeCreated)";
  for (let pageToken: string | undefined; ;) {
    const query = {
      prefix: client.prefix + prefix,
      fields,
      ...(pageToken === undefined ? {} : { pageToken }),
    };
    const answer = await client.ask({ method: "GET", path: "o", query, what }, wait);
    if (answer.status === 404) throw noBucket(client, what);
    if (answer.status !== 200) throw googleError(answer, what, { prefix });
    const page = jsonOf(answer, what);
    // No items are no key at all: what is none of Google's listings would be an empty one.
    if (fieldOf(page, "kind") !== "storage#objects") throw noAnswer(what);
    const items = fieldOf(page, "items") ?? [];
    if (!Array.isArray(items)) throw noAnswer(what);
    for (const item of items) {
      throwIfAborted(wait?.signal);
      const { name, ...found } = parseStat(item, what);
      const key = name.slice(client.prefix.length);
      // Foreign names are no keys.
      if (name.startsWith(client.prefix + prefix) && isKey(key)) yield { key, ...found };
    }
    const next = fieldOf(page, "nextPageToken");
    if (next === undefined) return;
    if (typeof next !== "string" || next === "" || next === pageToken) throw noAnswer(what);
    pageToken = next;
  }
}

async function removeObject(
  client: GoogleClient,
  key: string,
  wait: WaitOptions | undefined,
): Promise<void> {
  const what = `removal of ${key}`;
  const path = objectPath(client, key);
  const answer = await client.ask({ method: "DELETE", path, what }, wait);
  if (answer.status !== 204 && answer.status !== 200 && answer.status !== 404) {
    throw googleError(answer, what, { key });
  }
}

function parseStat(
  item: unknown,
  what: string,
): Omit<ObjectStat, "key"> & { readonly name: string } {
  const [name, size, created] = ["name", "size", "timeCreated"].map((field) =>
    fieldOf(item, field),
  );
  const modifiedAt = new Date(typeof created === "string" ? created : Number.NaN);
  // Sizes are 64 bits, hence text in Google's JSON.
  const sized = typeof size === "string" && /^\d{1,15}$/.test(size);
  if (typeof name !== "string" || !sized || Number.isNaN(modifiedAt.getTime()))
    throw noAnswer(what);
  return { name, sizeBytes: Number(size), modifiedAt };
}

function jsonOf(answer: HttpAnswer, what: string): unknown {
  try {
    return JSON.parse(Buffer.from(answer.body).toString()) as unknown;
  } catch (thrown) {
    throw noAnswer(what, thrown);
  }
}

function noAnswer(what: string, cause?: unknown): Error {
  return objectStoreError("unavailable", {
    message: `${what} whose answer is none of Google's`,
    cause,
  });
}

function noBucket({ bucket }: GoogleClient, what: string): Error {
  return objectStoreError("bucket_missing", {
    message: `${what} in the bucket ${bucket} that is not there`,
    subject: { bucket },
  });
}
