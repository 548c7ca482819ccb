import { Agent, createServer as createHttpServer, request as send } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { once } from "node:events";
import { Transform } from "node:stream";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import type { S3Client } from "@aws-sdk/client-s3";

export interface SeenRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

/** What goes wrong with one request. */
export type ProxyFault =
  /** The proxy answers itself, as a server in trouble would. */
  | { readonly status: number; readonly code: string; readonly headers?: Record<string, string> }
  /** The connection is cut before the request reaches the server. */
  | "reset"
  /** It reaches the server and is done; the answer is lost. */
  | "lose-answer"
  /** The answer's head, half of its body, and the end of the connection. */
  | "cut-body"
  /** One bit of the request's body is wrong when it reaches the server. */
  | "flip-request"
  /** Acknowledged, and not done. */
  | "forget"
  /** Never an answer. */
  | "silence";

export interface S3ProxyOptions {
  /** `http://127.0.0.1:PORT` of a real server. */
  readonly target: string;
  readonly decide?: (request: SeenRequest, number: number) => ProxyFault | undefined;
  /** Waited for before anything else. */
  readonly before?: (request: SeenRequest) => Promise<void>;
  /** Whose credentials a conditional PUT is written with: without its condition, and acknowledged. */
  readonly ignoreConditions?: S3Client;
  readonly tls?: { readonly key: string; readonly cert: string; readonly maxVersion: "TLSv1.2" };
}

/** In front of a real server: passes on what it gets, notes it, and lets go wrong what it is told. */
export interface S3Proxy extends AsyncDisposable {
  readonly endpoint: string;
  readonly seen: readonly SeenRequest[];
}

export async function startS3Proxy(options: S3ProxyOptions): Promise<S3Proxy> {
  const seen: SeenRequest[] = [];
  const agent = new Agent({ keepAlive: true });
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const noted = {
      method: request.method ?? "",
      path: request.url ?? "",
      headers: request.headers,
    };
    seen.push(noted);
    // A client that went away took its answer along.
    response.on("error", () => undefined);
    request.on("error", () => undefined);
    const fault = options.decide?.(noted, seen.length);
    if (options.before === undefined) act(request, response, fault);
    else void options.before(noted).then(() => act(request, response, fault));
  };
  const act = (
    request: IncomingMessage,
    response: ServerResponse,
    fault: ProxyFault | undefined,
  ): void => {
    if (fault === "silence") return;
    if (fault === "reset") request.socket.destroy();
    else if (fault === "forget") acknowledge(request, response);
    else if (typeof fault === "object") refuse(request, response, fault);
    else if (options.ignoreConditions !== undefined && request.headers["if-none-match"] === "*") {
      void putWithoutCondition(request, response, options.ignoreConditions);
    } else forward(request, response, { target: options.target, agent, fault });
  };
  const { tls } = options;
  const server = tls === undefined ? createHttpServer(answer) : createHttpsServer(tls, answer);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const host = tls === undefined ? "http://127.0.0.1" : "https://localhost";
  return {
    endpoint: `${host}:${address.port}`,
    seen,
    [Symbol.asyncDispose]: () => close(server, agent),
  };
}

async function close(server: Server, agent: Agent): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  agent.destroy();
  await closed;
}

/** Reads the whole request first, as a server does that keeps its connections. */
function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  { status, code, headers }: Exclude<ProxyFault, string>,
): void {
  request.resume().on("end", () => {
    const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>planted</Message></Error>`;
    response.writeHead(status, { "content-type": "application/xml", ...headers });
    response.end(request.method === "HEAD" ? undefined : body);
  });
}

function acknowledge(request: IncomingMessage, response: ServerResponse): void {
  request.resume().on("end", () => {
    response.writeHead(200, { etag: '"not-a-digest"', "content-length": "0" });
    response.end();
  });
}

interface Onward {
  readonly target: string;
  readonly agent: Agent;
  readonly fault: "lose-answer" | "cut-body" | "flip-request" | undefined;
}

/** The Host header stays as it was signed. */
function forward(
  request: IncomingMessage,
  response: ServerResponse,
  { target, agent, fault }: Onward,
): void {
  const { method = "", headers } = request;
  const url = new URL(request.url ?? "/", target);
  const onward = send(url, { method, headers, agent, path: request.url }, (found) => {
    if (fault === "lose-answer") {
      found.resume().on("end", () => request.socket.destroy());
      return;
    }
    response.writeHead(found.statusCode ?? 502, found.headers);
    if (fault !== "cut-body") {
      found.pipe(response);
      return;
    }
    const half = Number(found.headers["content-length"] ?? 0) >> 1;
    let passed = 0;
    found.on("data", (chunk: Buffer) => {
      if (passed >= half) return;
      const part = chunk.subarray(0, half - passed);
      passed += part.byteLength;
      response.write(part, () => passed >= half && request.socket.destroy());
    });
  });
  onward.on("error", () => request.socket.destroy());
  request.on("close", () => {
    if (!request.complete) onward.destroy();
  });
  if (fault === "flip-request") request.pipe(flipFirstBit()).pipe(onward);
  else request.pipe(onward);
}

function flipFirstBit(): Transform {
  let isFirst = true;
  return new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      const flipped = Buffer.from(chunk);
      if (isFirst) flipped[0] = (flipped[0] ?? 0) ^ 1;
      isFirst = false;
      done(null, flipped);
    },
  });
}

/** What some servers do with a condition that they do not know: nothing, and 200. */
async function putWithoutCondition(
  request: IncomingMessage,
  response: ServerResponse,
  client: S3Client,
): Promise<void> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  const [bucket, ...key] = new URL(request.url ?? "/", "http://x").pathname.slice(1).split("/");
  const body = Buffer.concat(parts);
  const put = new PutObjectCommand({ Bucket: bucket, Key: key.join("/"), Body: body });
  const { ETag: tag = "" } = await client.send(put);
  response.writeHead(200, { etag: tag, "content-length": "0" });
  response.end();
}
