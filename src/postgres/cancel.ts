/** Cancel requests: a connection of their own that carries the session's number and key. */
import { once } from "node:events";
import { connect as connectSocket } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ConnectionTarget } from "./target.ts";
import { tlsOptions } from "./tls.ts";

export interface SessionKey {
  readonly processId: number;
  readonly secretKey: number;
}

const CANCEL_TIMEOUT_MS = 5_000;
const CANCEL_REQUEST_CODE = 80_877_102;
const SSL_REQUEST_CODE = 80_877_103;

/**
 * Asks the server to cancel what the session runs. Resolves when the server closed the request, which says nothing
 * about its effect: the session itself shows that. Never throws: where the request cannot be made, the caller's own
 * deadline closes the session's socket.
 */
export async function requestCancel(target: ConnectionTarget, key: SessionKey): Promise<void> {
  const signal = AbortSignal.timeout(CANCEL_TIMEOUT_MS);
  const socket = openSocket(target);
  // Errors end the wait below by 'close', and mean that there is nothing to cancel or no way there.
  socket.on("error", () => undefined);
  try {
    await once(socket, "connect", { signal });
    const channel = await secure(socket, target, signal);
    channel.write(cancelMessage(key));
    channel.resume();
    await once(channel, "close", { signal });
  } catch {
    // See above: the caller has a deadline of its own.
  } finally {
    socket.destroy();
  }
}

function openSocket(target: ConnectionTarget): Socket {
  return target.host.startsWith("/")
    ? connectSocket(`${target.host}/.s.PGSQL.${target.port}`)
    : connectSocket(target.port, target.host);
}

async function secure(
  socket: Socket,
  target: ConnectionTarget,
  signal: AbortSignal,
): Promise<Socket> {
  const options = await tlsOptions(target);
  if (options === false) return socket;
  const request = Buffer.alloc(8);
  request.writeInt32BE(8, 0);
  request.writeInt32BE(SSL_REQUEST_CODE, 4);
  socket.write(request);
  await once(socket, "data", { signal });
  const channel = connectTls({ ...options, socket, host: target.host });
  channel.on("error", () => undefined);
  await once(channel, "secureConnect", { signal });
  return channel;
}

function cancelMessage(key: SessionKey): Buffer {
  const message = Buffer.alloc(16);
  message.writeInt32BE(16, 0);
  message.writeInt32BE(CANCEL_REQUEST_CODE, 4);
  message.writeInt32BE(key.processId, 8);
  message.writeInt32BE(key.secretKey, 12);
  return message;
}
