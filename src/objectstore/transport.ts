import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { objectStoreError } from "./errors.ts";
import type { ConnectionFacts } from "./object-store.ts";
import type { TlsSettings } from "./settings.ts";

/**
 * How a driver reaches its server: certificates are verified, always; TLS 1.2 is the floor; plain http goes to loopback
 * only. What was negotiated is kept, to be recorded with each run.
 */
export interface Transport extends Disposable {
  readonly https: HttpsAgent;
  readonly http: HttpAgent;
  readonly facts: () => ConnectionFacts;
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

export function createTransport(settings: TlsSettings = {}, maxSockets = 32): Transport {
  const tls = new Set<string>();
  let plain = false;
  const https = new HttpsAgent({
    keepAlive: true,
    maxSockets,
    minVersion: settings.minVersion === "1.3" ? "TLSv1.3" : "TLSv1.2",
    rejectUnauthorized: true,
    ...(settings.certificateAuthorities === undefined
      ? {}
      : { ca: settings.certificateAuthorities }),
  });
  const http = new HttpAgent({ keepAlive: true, maxSockets });
  // Emitted by Node for each socket that an agent makes, before it is handed to the request.
  onSocket(https, (socket) => {
    if (!(socket instanceof TLSSocket)) return;
    socket.once("secureConnect", () => {
      const version = socket.getProtocol();
      if (version !== null) tls.add(version);
    });
  });
  onSocket(http, () => {
    plain = true;
  });
  return {
    https,
    http,
    facts: () => ({ tls: [...tls].sort(), plain }),
    [Symbol.dispose]: () => {
      https.destroy();
      http.destroy();
    },
  };
}

/** `createConnection` is the documented place where an agent makes its sockets. */
function onSocket(agent: HttpAgent, made: (socket: Duplex) => void): void {
  const create = agent.createConnection.bind(agent);
  agent.createConnection = (options, callback) => {
    const socket = create(options, callback);
    if (socket !== undefined && socket !== null) made(socket);
    return socket;
  };
}

/** The URL of a server, or `invalid_location`: https anywhere, http to this machine alone. */
export function serverUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw objectStoreError("invalid_location", {
      message: "address of a server that is no https URL",
      hint: "Write https://HOST[:PORT][/PATH].",
    });
  }
  if (url.protocol === "http:" && !LOOPBACK.test(url.hostname)) {
    throw objectStoreError("invalid_location", {
      message: `plain http to ${url.hostname}, which is not this machine`,
      hint: "Write https://; plain http is for loopback only.",
    });
  }
  return url;
}
