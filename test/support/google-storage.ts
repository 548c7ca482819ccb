import { createHash, generateKeyPairSync, randomUUID } from "node:crypto";
import type { KeyPairKeyObjectResult } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { collectBytes } from "../../src/kernel/index.ts";
import type { Certificates } from "./certificates.ts";
import { grantToken } from "./google-token-endpoint.ts";
import { insertObject } from "./google-insert.ts";

/**
 * A stand-in for Google Cloud Storage, from Google's own description of its JSON API: the discovery document `storage:v1`,
 * revision 20230119 (objects.insert, get, list, delete; its parameters and preconditions), and the pages "Using OAuth 2.0
 * for server to server applications" (the grant for service accounts) and "HTTP status and error codes for JSON" (bodies
 * of errors). It refuses what the document does not name: a parameter, a method, a content type. It holds objects in
 * memory and knows no versions, no resumable uploads and no access lists.
 */
export interface GoogleStorage extends AsyncDisposable {
  readonly endpoint: string;
  /** As Google gives it: the JSON of a service account's key, its `token_uri` here. */
  readonly serviceAccount: string;
  readonly objects: ReadonlyMap<string, StoredObject>;
  readonly requests: readonly { readonly method: string; readonly url: string }[];
  /** Tokens given out so far. */
  readonly tokens: ReadonlySet<string>;
}

export interface StoredObject {
  readonly bytes: Buffer;
  readonly md5Hash: string;
  readonly storageClass: string;
  readonly timeCreated: string;
  readonly generation: string;
}

export interface GoogleStorageOptions {
  readonly bucket: string;
  readonly certificates?: Certificates;
  readonly newestTls?: "TLSv1.2";
  /** The service may give fewer objects on a page than were asked for. */
  readonly pageSize?: number;
}

/** An answer in Google's shape. */
export class Refusal extends Error {
  readonly status: number;
  readonly reason: string;
  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

const COMMON = ["alt", "fields", "key", "oauth_token", "prettyPrint", "quotaUser", "userIp"];
const CONDITIONS = [
  "ifGenerationMatch",
  "ifGenerationNotMatch",
  "ifMetagenerationMatch",
  "ifMetagenerationNotMatch",
];
/** The parameters of each method, as the document lists them. */
const PARAMETERS = {
  insert: [
    ...COMMON,
    ...CONDITIONS,
    "uploadType",
    "contentEncoding",
    "kmsKeyName",
    "name",
    "predefinedAcl",
    "projection",
    "userProject",
  ],
  get: [...COMMON, ...CONDITIONS, "generation", "projection", "userProject"],
  delete: [...COMMON, ...CONDITIONS, "generation", "userProject"],
  list: [
    ...COMMON,
    "delimiter",
    "endOffset",
    "includeTrailingDelimiter",
    "maxResults",
    "pageToken",
    "prefix",
    "projection",
    "startOffset",
    "userProject",
    "versions",
  ],
} as const;

export interface GoogleState {
  readonly bucket: string;
  readonly objects: Map<string, StoredObject>;
  readonly tokens: Set<string>;
  readonly pageSize: number;
}

/** One key for all stand-ins of a test file: making one takes long. */
let keys: KeyPairKeyObjectResult | undefined;

export async function startGoogleStorage(options: GoogleStorageOptions): Promise<GoogleStorage> {
  const { certificates, bucket, pageSize = 1000 } = options;
  const state: GoogleState = { bucket, objects: new Map(), tokens: new Set(), pageSize };
  keys ??= generateKeyPairSync("rsa", { modulusLength: 2048 });
  const { publicKey, privateKey } = keys;
  const email = "backup@project.iam.gserviceaccount.com";
  const requests: { method: string; url: string }[] = [];
  const listener: RequestListener = (incoming, answer) => {
    requests.push({ method: incoming.method ?? "", url: incoming.url ?? "" });
    const granted = { publicKey, email, tokens: state.tokens };
    serve(state, granted, incoming, answer).catch((thrown: unknown) =>
      refuse(incoming, answer, thrown),
    );
  };
  const server =
    certificates === undefined
      ? createServer(listener)
      : createTlsServer(
          {
            key: readFileSync(certificates.keyFile),
            cert: readFileSync(certificates.certificateFile),
            ...(options.newestTls === undefined ? {} : { maxVersion: options.newestTls }),
          },
          listener,
        );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const endpoint = `${certificates === undefined ? "http" : "https"}://127.0.0.1:${port}`;
  return {
    endpoint,
    objects: state.objects,
    tokens: state.tokens,
    requests,
    serviceAccount: JSON.stringify({
      type: "service_account",
      project_id: "project",
      private_key_id: randomUUID(),
      private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
      client_email: email,
      token_uri: `${endpoint}/token`,
    }),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function serve(
  state: GoogleState,
  granted: Parameters<typeof grantToken>[0],
  incoming: IncomingMessage,
  answer: ServerResponse,
): Promise<void> {
  const url = new URL(incoming.url ?? "", "http://stand-in");
  const body = Buffer.from(await collectBytes(incoming));
  if (url.pathname === "/token") {
    grantToken(granted, incoming, body, answer);
    return;
  }
  const token = /^Bearer (.+)$/.exec(incoming.headers.authorization ?? "")?.[1];
  if (token === undefined)
    throw new Refusal(401, "required", "Anonymous caller does not have access.");
  if (!state.tokens.has(token)) throw new Refusal(401, "authError", "Invalid Credentials");
  const [, upload, bucket, encoded] =
    /^(\/upload)?\/storage\/v1\/b\/([^/]+)\/o(?:\/([^/]+))?$/.exec(url.pathname) ?? [];
  if (bucket === undefined) throw new Refusal(404, "notFound", "Not Found");
  const method = incoming.method ?? "";
  const verb = verbOf(method, upload !== undefined, encoded !== undefined);
  for (const name of url.searchParams.keys()) {
    if (!PARAMETERS[verb].some((known) => known === name)) {
      throw new Refusal(400, "invalidParameter", `Unknown parameter ${name}`);
    }
  }
  if (bucket !== state.bucket)
    throw new Refusal(404, "notFound", "The specified bucket does not exist.");
  if (verb === "insert") insertObject(state, url.searchParams, incoming, body, answer);
  else if (verb === "list") listObjects(state, url.searchParams, answer);
  else {
    const name = decodeURIComponent(encoded ?? "");
    const object = state.objects.get(name);
    if (object === undefined)
      throw new Refusal(404, "notFound", `No such object: ${bucket}/${name}`);
    if (verb === "delete") {
      state.objects.delete(name);
      answer.writeHead(204).end();
    } else if (url.searchParams.get("alt") === "media") download(object, incoming, answer);
    else sendJson(answer, resourceOf(state, name, object), url.searchParams.get("fields"));
  }
}

function verbOf(method: string, upload: boolean, named: boolean): keyof typeof PARAMETERS {
  if (method === "POST" && upload && !named) return "insert";
  if (method === "GET" && !upload) return named ? "get" : "list";
  if (method === "DELETE" && named && !upload) return "delete";
  throw new Refusal(405, "methodNotAllowed", "Method Not Allowed");
}

/** Errors of downloads are plain text, all others Google's JSON. */
function refuse(incoming: IncomingMessage, answer: ServerResponse, thrown: unknown): void {
  const refusal =
    thrown instanceof Refusal
      ? thrown
      : new Refusal(500, "backendError", `stand-in: ${String(thrown)}`);
  const { status, reason, message } = refusal;
  if (new URL(incoming.url ?? "", "http://stand-in").searchParams.get("alt") === "media") {
    answer.writeHead(status, { "content-type": "text/html; charset=UTF-8" }).end(message);
    return;
  }
  const error = { code: status, message, errors: [{ message, domain: "global", reason }] };
  answer.writeHead(status, { "content-type": "application/json; charset=UTF-8" });
  answer.end(JSON.stringify({ error }));
}

function download(object: StoredObject, incoming: IncomingMessage, answer: ServerResponse): void {
  const { bytes, md5Hash, generation } = object;
  const headers = {
    "content-type": "application/octet-stream",
    "x-goog-generation": generation,
    "x-goog-hash": `md5=${md5Hash}`,
  };
  const range = incoming.headers.range;
  if (range === undefined) {
    answer.writeHead(200, { ...headers, "content-length": bytes.byteLength }).end(bytes);
    return;
  }
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range) ?? [];
  if (first === undefined || last === undefined) throw new Refusal(400, "invalid", "Invalid range");
  const [start, end] = [Number(first), Math.min(Number(last) + 1, bytes.byteLength)];
  if (start >= bytes.byteLength) {
    answer.writeHead(416, { "content-range": `bytes */${bytes.byteLength}` }).end();
    return;
  }
  const part = bytes.subarray(start, end);
  const span = `bytes ${start}-${end - 1}/${bytes.byteLength}`;
  answer.writeHead(206, { ...headers, "content-range": span, "content-length": part.byteLength });
  answer.end(part);
}

function listObjects(state: GoogleState, query: URLSearchParams, answer: ServerResponse): void {
  const prefix = query.get("prefix") ?? "";
  const after = Buffer.from(query.get("pageToken") ?? "", "base64url").toString();
  const asked = Number(query.get("maxResults") ?? 1000);
  const names = [...state.objects.keys()]
    .filter((name) => name.startsWith(prefix) && name > after)
    .sort();
  const page = names.slice(0, Math.min(asked, state.pageSize));
  const items = page.map((name) => resourceOf(state, name, state.objects.get(name)));
  const last = page.at(-1);
  const more = last !== undefined && page.length < names.length;
  const result = {
    kind: "storage#objects",
    ...(more ? { nextPageToken: Buffer.from(last).toString("base64url") } : {}),
    ...(items.length === 0 ? {} : { items }),
  };
  sendJson(answer, result, query.get("fields"));
}

export function resourceOf(
  { bucket }: GoogleState,
  name: string,
  object: StoredObject | undefined,
): Record<string, unknown> {
  if (object === undefined) return {};
  const { bytes, ...rest } = object;
  return {
    kind: "storage#object",
    bucket,
    name,
    size: `${bytes.byteLength}`,
    updated: object.timeCreated,
    ...rest,
  };
}

export function md5Of(bytes: Uint8Array): string {
  return createHash("md5").update(bytes).digest("base64");
}

/** Only the fields that were asked for: `a,b(c,d)`. */
export function sendJson(
  answer: ServerResponse,
  value: Record<string, unknown>,
  fields: string | null,
): void {
  const body = JSON.stringify(fields === null ? value : pick(value, fields));
  answer.writeHead(200, { "content-type": "application/json; charset=UTF-8" }).end(body);
}

function pick(value: Record<string, unknown>, fields: string): Record<string, unknown> {
  const picked: Record<string, unknown> = {};
  if (!/^(?:[A-Za-z0-9]+(?:\([A-Za-z0-9,]+\))?(?:,|$))+$/.test(fields)) {
    throw new Refusal(400, "invalidParameter", `Invalid field selection ${fields}`);
  }
  for (const field of fields.match(/[^,(]+(?:\([^)]*\))?/g) ?? []) {
    const [, name = "", inner] = /^([A-Za-z0-9]+)(?:\(([^)]*)\))?$/.exec(field) ?? [];
    const found = value[name];
    if (found === undefined) continue;
    picked[name] =
      inner === undefined || !Array.isArray(found)
        ? found
        : found.map((item: Record<string, unknown>) => pick(item, inner));
  }
  return picked;
}
