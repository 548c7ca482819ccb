import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";

/**
 * Where a restored application would call: a TCP server that takes the start of a PostgreSQL connection, notes who it is
 * from, and hangs up.
 */
export interface Sink extends AsyncDisposable {
  readonly port: number;
  /** For `dblink_connect`, as somebody by whom the caller is told. */
  connectionString(user: string): string;
  /** Who has called until now. Waits for a call of our own, which comes after them. */
  callers(): Promise<readonly string[]>;
}

const CONTROL = "the test itself";

export async function startSink(): Promise<Sink> {
  const seen: string[] = [];
  const waiting = new Set<() => void>();
  const server = createServer((socket) => {
    let bytes = Buffer.alloc(0);
    // Noted when it is accepted, named when it has said its name: nothing can arrive unseen.
    const at = seen.push("somebody who said nothing") - 1;
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      const length = bytes.length < 4 ? Infinity : bytes.readInt32BE(0);
      if (bytes.length < length) return;
      const words = bytes.subarray(8, length).toString().split("\0");
      seen[at] = words[words.indexOf("user") + 1] ?? "";
      for (const wake of waiting) wake();
      socket.destroy();
    });
  });
  const { promise: listening, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await listening;
  const address = server.address();
  const { port } = isAddress(address) ? address : { port: 0 };
  const arrived = async (count: number): Promise<void> => {
    while (seen.filter((name) => name === CONTROL).length < count) {
      const { promise, resolve: wake } = Promise.withResolvers<void>();
      waiting.add(wake);
      await promise;
      waiting.delete(wake);
    }
  };
  let controls = 0;
  return {
    port,
    connectionString: (user) =>
      `host=127.0.0.1 port=${port} user=${user} password=x dbname=sink sslmode=disable gssencmode=disable`,
    callers: async () => {
      controls += 1;
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => undefined);
      const body = Buffer.from(`\0\u0003\0\0user\0${CONTROL}\0\0`);
      const head = Buffer.alloc(4);
      head.writeInt32BE(body.length + 4);
      socket.write(Buffer.concat([head, body]));
      await arrived(controls);
      return seen.filter((name) => name !== CONTROL);
    },
    [Symbol.asyncDispose]: async () => {
      const { promise: closed, resolve: close } = Promise.withResolvers<void>();
      server.close(() => close());
      await closed;
    },
  };
}

function isAddress(address: string | AddressInfo | null): address is AddressInfo {
  return typeof address === "object" && address !== null;
}
