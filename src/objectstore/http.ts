import { request as httpRequest } from "node:http";
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { AppError, isAbort, kernelError, throwIfAborted } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import { errnoOf } from "./fs-errors.ts";
import { totalBytes } from "./keys.ts";
import { tlsError } from "./network-errors.ts";
import { createPace, sendBody } from "./pace.ts";
import type { Rates } from "./rates.ts";
import type { LargeBody } from "./object-store.ts";
import { retryAfterMsOf } from "./retry-after.ts";
import type { Transport } from "./transport.ts";

/** One request and its whole answer, for drivers that speak HTTP themselves. Nothing is repeated or followed here. */
export interface HttpRequest {
  readonly method: "GET" | "HEAD" | "POST" | "DELETE";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: HttpBody;
  readonly signal?: AbortSignal | undefined;
  /** What is done to which object, for errors: `read of data/…`. */
  readonly what: string;
}

/** In memory, or opened anew for each request. */
export type HttpBody = readonly Bytes[] | Pick<LargeBody, "sizeBytes" | "open">;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Bytes;
}

export type SendHttp = (request: HttpRequest) => Promise<HttpAnswer>;

/** No byte in either direction for so long: the peer is gone. */
const IDLE_TIMEOUT_MS = 60_000;
/** No object of a repository and no listing comes near it; a server that sends for ever meets it. */
export const MAX_ANSWER_BYTES = 2 ** 30;

export interface HttpLimits {
  readonly rates?: Rates | undefined;
  readonly idleTimeoutMs?: number | undefined;
}

export function createHttpSender(transport: Transport, limits: HttpLimits = {}): SendHttp {
  return async (request) => {
    throwIfAborted(request.signal);
    try {
      await limits.rates?.calls.take(1, request.signal);
      return await exchange(transport, request, limits);
    } catch (thrown) {
      throw networkError(thrown, request.what);
    }
  };
}

async function exchange(
  transport: Transport,
  request: HttpRequest,
  { rates, idleTimeoutMs = IDLE_TIMEOUT_MS }: HttpLimits,
): Promise<HttpAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  const out = start(transport, request, idleTimeoutMs);
  const { signal } = request;
  const pace = createPace(rates, signal);
  out.on("timeout", () => {
    // A line that is silent because we hold it is not dead.
    if (pace.holding()) out.setTimeout(idleTimeoutMs);
    else out.destroy(new Error(`no byte for ${idleTimeoutMs} ms`));
  });
  out.on("error", reject);
  out.once("response", (incoming) => {
    collect(incoming, request.method === "HEAD", pace.down).then(resolve, reject);
  });
  sendBody(out, request.body ?? [], rates === undefined ? undefined : pace.up).catch(reject);
  try {
    return await promise;
  } finally {
    // Answered or broken off before the body was sent: what is left of it must not be held or sent any more.
    if (!out.writableFinished) out.destroy();
  }
}

function start(transport: Transport, request: HttpRequest, idleTimeoutMs: number): ClientRequest {
  const { url, method, signal } = request;
  const options = {
    method,
    timeout: idleTimeoutMs,
    headers: {
      ...request.headers,
      ...(method === "POST" ? { "content-length": sizeOf(request.body ?? []) } : {}),
    },
    ...(signal === undefined ? {} : { signal }),
  };
  return url.protocol === "https:"
    ? httpsRequest(url, { ...options, agent: transport.https })
    : httpRequest(url, { ...options, agent: transport.http });
}

function sizeOf(body: HttpBody): number {
  return "open" in body ? body.sizeBytes : totalBytes(body);
}

async function collect(
  incoming: IncomingMessage,
  isHead: boolean,
  pace: (sizeBytes: number) => Promise<void>,
): Promise<HttpAnswer> {
  const { statusCode = 0, headers } = incoming;
  const parts: Bytes[] = [];
  let received = 0;
  for await (const part of incoming as AsyncIterable<Bytes>) {
    received += part.byteLength;
    if (received > MAX_ANSWER_BYTES)
      throw new Error(`answer of more than ${MAX_ANSWER_BYTES} bytes`);
    parts.push(part);
    // Not read meanwhile, so that the sender has to wait too.
    await pace(part.byteLength);
  }
  // A body that only ends with its connection may have been cut anywhere.
  const framed =
    headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined;
  const bodiless = isHead || statusCode === 204 || statusCode === 304;
  if (!incoming.complete || (!framed && !bodiless)) throw new Error("answer that breaks off");
  return { status: statusCode, headers, body: Buffer.concat(parts) };
}

function networkError(thrown: unknown, what: string): Error {
  if (thrown instanceof AppError) return thrown;
  if (isAbort(thrown)) return kernelError("cancelled", { message: "cancelled", cause: thrown });
  const refused = tlsError(thrown, { request: what });
  if (refused !== undefined) return refused;
  const reason = errnoOf(thrown) ?? (thrown instanceof Error ? thrown.message : "unknown reason");
  return objectStoreError("unavailable", {
    message: `${what} without an answer (${reason})`,
    cause: thrown,
  });
}

export function isSuccess({ status }: HttpAnswer): boolean {
  return status >= 200 && status < 300;
}

/** The error for an answer that is no success. What the server writes is not repeated: it is foreign text. */
export function statusError(
  { status, headers }: HttpAnswer,
  what: string,
  subject: Readonly<Record<string, string>>,
): AppError {
  const detail = { message: `${what} answered with ${status}`, subject: { ...subject, status } };
  if (status === 404) return objectStoreError("not_found", detail);
  if (status === 413 || status === 507) return objectStoreError("full", detail);
  if (status === 401) {
    return objectStoreError("denied", { ...detail, hint: "Check the credentials of this store." });
  }
  if (status >= 300 && status < 400) {
    const hint = "Name the address that the server redirects to; redirects are not followed.";
    return objectStoreError("invalid_location", { ...detail, hint });
  }
  if (status >= 500 || [400, 408, 425, 429].includes(status)) {
    const retryAfterMs = retryAfterMsOf(headers);
    return objectStoreError("unavailable", {
      ...detail,
      subject: { ...detail.subject, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
    });
  }
  return objectStoreError("denied", detail);
}
