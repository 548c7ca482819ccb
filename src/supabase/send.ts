import { AppError, isAbort, kernelError, KIND_RULES, throwIfAborted } from "../kernel/index.ts";
import type { Bytes, Clock, RandomBytes, Secret } from "../kernel/index.ts";
import { supabaseError } from "./errors.ts";
import type { RequestBudget } from "./budget.ts";

/** One request and its whole answer; repeated where that is safe. */
export interface ApiRequest {
  readonly method: "GET" | "POST" | "PATCH" | "PUT";
  /** Below the address, each part already encoded: `/v1/projects/…`. */
  readonly path: string;
  /** For errors and logs: `backups`, never a secret. */
  readonly what: string;
  readonly accept: "application/json" | "multipart/form-data";
  /** The fine-grained permission that the API asks for, to be named when it is missing. */
  readonly permission: string;
  /** JSON. */
  readonly body?: unknown;
  /** In its place. */
  readonly form?: FormData;
  readonly maxBytes: number;
}

export interface ApiAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Bytes;
}

export interface SendOptions {
  readonly address: URL;
  readonly token: Secret;
  readonly clock: Pick<Clock, "monotonicMs" | "sleep">;
  readonly random: RandomBytes;
  readonly signal: AbortSignal;
  readonly userAgent: string;
  readonly onRetry?: ((error: AppError) => void) | undefined;
  /** From the first failure of a request. */
  readonly patienceMs: number;
  readonly requestTimeoutMs: number;
}

const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 30_000;

/**
 * Asks until there is an answer or patience ends. What changes something is asked once more only where the API said that
 * it did not take it (429): an answer that got lost could mean that it did.
 */
export async function send(
  options: SendOptions,
  budget: RequestBudget,
  request: ApiRequest,
): Promise<ApiAnswer> {
  const { clock, signal } = options;
  let failedFirstMs: number | undefined;
  for (let failures = 1; ; failures += 1) {
    await budget.wait(request.what, signal);
    try {
      return await attempt(options, budget, request);
    } catch (thrown) {
      if (!(thrown instanceof AppError) || !mayRepeat(request, thrown)) throw thrown;
      throwIfAborted(signal);
      const delayMs = Math.max(jitteredMs(options, failures), askedMs(thrown));
      failedFirstMs ??= clock.monotonicMs();
      if (clock.monotonicMs() - failedFirstMs + delayMs > options.patienceMs) throw thrown;
      options.onRetry?.(thrown);
      await clock.sleep(delayMs, signal).catch((reason: unknown) => {
        throwIfAborted(signal);
        throw reason;
      });
    }
  }
}

function mayRepeat({ method }: ApiRequest, error: AppError): boolean {
  if (KIND_RULES[error.kind].retry !== "backoff") return false;
  return method === "GET" || error.subject["status"] === 429;
}

function askedMs(error: AppError): number {
  const asked = error.subject["retryAfterMs"];
  return typeof asked === "number" ? asked : 0;
}

/** Between half of a doubling delay and all of it. */
function jitteredMs({ random }: SendOptions, failures: number): number {
  const fullMs = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (failures - 1));
  return Math.round(fullMs * (0.5 + (random(1)[0] ?? 0) / 510));
}

async function attempt(
  options: SendOptions,
  budget: RequestBudget,
  request: ApiRequest,
): Promise<ApiAnswer> {
  throwIfAborted(options.signal);
  const deadline = AbortSignal.timeout(options.requestTimeoutMs);
  try {
    const response = await fetch(new URL(joined(options.address, request.path)), {
      method: request.method,
      headers: headersOf(options, request),
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
      // Its boundary stands in a header that fetch sets.
      ...(request.form === undefined ? {} : { body: request.form }),
      // The token is for this address alone.
      redirect: "manual",
      signal: AbortSignal.any([options.signal, deadline]),
    });
    budget.note(request.what, response.headers);
    const body = await readBounded(response, request);
    const contentType = response.headers.get("content-type") ?? "";
    if (response.status >= 200 && response.status < 300)
      return { status: response.status, contentType, body };
    throw statusError(request, response);
  } catch (thrown) {
    throwIfAborted(options.signal);
    throw networkError(thrown, request);
  }
}

function joined(address: URL, path: string): string {
  return `${address.origin}${address.pathname.replace(/\/$/, "")}${path}`;
}

function headersOf(options: SendOptions, request: ApiRequest): Record<string, string> {
  return {
    authorization: `Bearer ${options.token.reveal()}`,
    accept: request.accept,
    "user-agent": options.userAgent,
    ...(request.body === undefined ? {} : { "content-type": "application/json" }),
  };
}

async function readBounded(response: Response, request: ApiRequest): Promise<Bytes> {
  const parts: Bytes[] = [];
  let sizeBytes = 0;
  if (response.body === null) return new Uint8Array();
  for await (const part of response.body as AsyncIterable<Bytes>) {
    sizeBytes += part.byteLength;
    if (sizeBytes > request.maxBytes) {
      throw supabaseError("answer_too_large", {
        message: `answer to ${request.what} of more than ${request.maxBytes} bytes`,
        subject: { request: request.what },
      });
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** What the server writes is not repeated: it is foreign text. */
function statusError(request: ApiRequest, { status, headers }: Response): AppError {
  const { what, permission } = request;
  const detail = { message: `${what} answered with ${status}`, subject: { request: what, status } };
  if (status === 401) return supabaseError("token_refused", detail);
  if (status === 402) return supabaseError("plan_lacks_it", detail);
  if (status === 403) {
    const message = `${what} answered with 403: the token may not (${permission})`;
    return supabaseError("not_permitted", { ...detail, message });
  }
  if (status === 404) return supabaseError("not_found", detail);
  if (status === 408 || status === 429 || status >= 500) {
    const retryAfterMs = waitOf(headers);
    const subject = { ...detail.subject, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
    const message =
      status === 429 ? `${what} answered with 429: too many requests` : detail.message;
    return supabaseError("unavailable", { ...detail, message, subject });
  }
  return supabaseError("request_refused", detail);
}

/** Both in seconds; the form of Retry-After with a date is passed over. */
export function waitOf(headers: Headers): number | undefined {
  for (const name of ["retry-after", "x-ratelimit-reset"]) {
    const text = headers.get(name);
    if (text !== null && /^\d{1,5}$/.test(text)) return Number(text) * 1000;
  }
  return undefined;
}

const UNTRUSTED = /^(?:CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS_|INVALID_CA|ERR_SSL_)/;

function networkError(thrown: unknown, { what }: ApiRequest): AppError {
  if (thrown instanceof AppError) return thrown;
  const cause: unknown = thrown instanceof Error ? (thrown.cause ?? thrown) : thrown;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const subject = { request: what };
  if (UNTRUSTED.test(code)) {
    return supabaseError("untrusted", {
      message: `server of the Management API that is not trusted (${code})`,
      subject,
      cause: thrown,
    });
  }
  const timedOut = thrown instanceof Error && thrown.name === "TimeoutError";
  if (isAbort(thrown) && !timedOut)
    return kernelError("cancelled", { message: "cancelled", cause: thrown });
  const reason = timedOut ? "no answer in time" : code === "" ? "connection lost" : code;
  return supabaseError("unavailable", {
    message: `${what} without an answer (${reason})`,
    subject,
    cause: thrown,
  });
}
