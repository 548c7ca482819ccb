import { once } from "node:events";
import { createServer, request } from "node:http";
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { collectBytes } from "../../src/kernel/index.ts";

/** What goes wrong between a client and its server. */
export type WireFault =
  /** An answer of the proxy's own; the server never hears of it. */
  | { readonly status: number; readonly headers?: OutgoingHttpHeaders; readonly body?: string }
  /** The server did it; the connection goes before its answer. */
  | "lose-answer"
  /** The connection is reset in the middle of the answer's body. */
  | "reset"
  /** The answer ends in the middle, its length as announced. */
  | "cut"
  /** The answer ends in the middle, and nothing announced where it should. */
  | "cut-unframed"
  /** The announced length is that of half of the body. */
  | "short-length"
  /** The middle half of the answer's body, with a length that is right for it. */
  | "fewer-bytes"
  /** No answer ever. */
  | "silence"
  /** The connection goes in the middle of the request's body, which the server gets so far. */
  | "cut-upload"
  /** The request passes with other headers. */
  | { readonly requestHeaders: OutgoingHttpHeaders }
  /** The answer passes with other headers; `undefined` takes one away. */
  | { readonly answerHeaders: OutgoingHttpHeaders };

export interface ProxiedRequest {
  readonly method: string;
  readonly path: string;
  /** 1 for the first request of all. */
  readonly number: number;
}

export interface BrokenProxy extends AsyncDisposable {
  readonly url: string;
  readonly requests: readonly ProxiedRequest[];
  decide: (request: ProxiedRequest) => WireFault | undefined;
}

/** Plain http on loopback before a server of plain http, that breaks what it is told to. */
export async function startBrokenProxy(target: string): Promise<BrokenProxy> {
  const requests: ProxiedRequest[] = [];
  const proxy = { decide: (_request: ProxiedRequest): WireFault | undefined => undefined };
  const server = createServer((incoming, answer) => {
    const seen = {
      method: incoming.method ?? "",
      path: incoming.url ?? "",
      number: requests.length + 1,
    };
    requests.push(seen);
    pass(new URL(seen.path, target), incoming, answer, proxy.decide(seen)).catch(() => {
      answer.destroy();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return Object.assign(proxy, {
    url: `http://127.0.0.1:${port}/`,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  });
}

async function pass(
  url: URL,
  incoming: IncomingMessage,
  answer: ServerResponse,
  fault: WireFault | undefined,
): Promise<void> {
  const body = await collectBytes(incoming);
  if (fault === "silence") return;
  if (typeof fault === "object" && "status" in fault) {
    answer.writeHead(fault.status, fault.headers);
    answer.end(fault.body);
    return;
  }
  const headers = {
    ...incoming.headers,
    ...(typeof fault === "object" && "requestHeaders" in fault ? fault.requestHeaders : {}),
  };
  const out = request(url, { method: incoming.method ?? "GET", headers });
  if (fault === "cut-upload") {
    out.on("error", () => undefined);
    // Ended on our side alone, so that the server is done with it when the client hears of it.
    out.write(body.subarray(0, body.byteLength >> 1), () => out.socket?.end());
    out.once("response", (got) => got.resume());
    await once(out, "close");
    answer.destroy();
    return;
  }
  out.end(body);
  const [got] = (await once(out, "response")) as [IncomingMessage];
  await reply(answer, got, await collectBytes(got), fault);
}

async function reply(
  answer: ServerResponse,
  got: IncomingMessage,
  body: Uint8Array,
  fault: WireFault | undefined,
): Promise<void> {
  const status = got.statusCode ?? 500;
  const half = body.subarray(0, body.byteLength >> 1);
  const headers: OutgoingHttpHeaders = { ...got.headers };
  const { socket } = answer;
  switch (fault) {
    case "lose-answer":
      answer.destroy();
      return;
    case "reset":
    case "cut":
      answer.writeHead(status, headers);
      answer.write(half, () => (fault === "reset" ? socket?.resetAndDestroy() : socket?.destroy()));
      return;
    case "cut-unframed":
      socket?.end(
        Buffer.concat([
          Buffer.from(`HTTP/1.0 ${status} OK\r\ndate: ${got.headers.date}\r\n\r\n`),
          half,
        ]),
      );
      return;
    case "short-length": {
      const head = `HTTP/1.1 ${status} OK\r\ndate: ${got.headers.date}\r\n`;
      const range = got.headers["content-range"];
      const more = range === undefined ? "" : `content-range: ${range}\r\n`;
      const length = `content-length: ${half.byteLength}\r\n\r\n`;
      socket?.end(Buffer.concat([Buffer.from(head + more + length), body]));
      return;
    }
    case "fewer-bytes":
      answer.writeHead(status, { ...headers, "content-length": half.byteLength });
      answer.end(half);
      return;
    default:
      if (typeof fault === "object" && "answerHeaders" in fault) {
        for (const [name, value] of Object.entries(fault.answerHeaders)) {
          if (value === undefined) delete headers[name];
          else headers[name] = value;
          if (name === "date" && value === undefined) answer.sendDate = false;
        }
      }
      answer.writeHead(status, headers);
      answer.end(body);
  }
}
