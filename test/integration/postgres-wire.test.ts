import { connect as connectSocket, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { Secret, toAppError } from "../../src/kernel/index.ts";
import type { AppError } from "../../src/kernel/index.ts";
import { connect } from "../../src/postgres/index.ts";
import type { Connection } from "../../src/postgres/index.ts";
import { failOnLeakedSessions, sharedCluster } from "../support/cluster.ts";

afterEach(async () => {
  await failOnLeakedSessions(await sharedCluster());
});

interface Proxy extends AsyncDisposable {
  readonly port: number;
  /** What happens to the server's bytes from now on. */
  fault: (chunk: Buffer, client: Socket, server: Socket) => Buffer | undefined;
}

/** A network between us and the server that does as it is told. */
async function startProxy(port: number): Promise<Proxy> {
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const server = connectSocket(port, "127.0.0.1");
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    client.on("data", (chunk) => server.write(chunk));
    server.on("data", (chunk) => {
      const passed = proxy.fault(chunk, client, server);
      if (passed !== undefined && !client.destroyed) client.write(passed);
    });
  });
  const listening = Promise.withResolvers<void>();
  listener.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  const address = listener.address() as AddressInfo;
  const proxy: Proxy = {
    port: address.port,
    fault: (chunk) => chunk,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      const closed = Promise.withResolvers<void>();
      listener.close(() => closed.resolve());
      await closed.promise;
    },
  };
  return proxy;
}

async function openThrough(proxy: Proxy): Promise<Connection> {
  const cluster = await sharedCluster();
  const url = `postgresql://${cluster.superuser}:${cluster.password}@127.0.0.1:${proxy.port}/postgres`;
  return connect({ url: new Secret(url), applicationName: "sparekeep test", readOnly: true });
}

const ROWS = "COPY (SELECT repeat('x', 90) FROM generate_series(1, 1000000)) TO STDOUT";

async function copyWith(fault: Proxy["fault"]): Promise<AppError> {
  await using proxy = await startProxy((await sharedCluster()).port);
  await using session = await openThrough(proxy);
  try {
    for await (const chunk of session.copyOut(ROWS)) {
      expect(chunk.byteLength).toBeGreaterThan(0);
      proxy.fault = fault;
    }
  } catch (error) {
    return toAppError(error);
  }
  throw new Error("expected an error");
}

test("the line is cut in the middle of a COPY, without a word", async () => {
  const error = await copyWith((_chunk, client) => void client.destroy());
  expect(error).toMatchObject({ code: "postgres.connection_lost", kind: "unavailable" });
});

test("the line is reset", async () => {
  const error = await copyWith((_chunk, client) => void client.resetAndDestroy());
  expect(error).toMatchObject({ code: "postgres.connection_lost" });
});

test("the server's side is closed politely, as after the last row", async () => {
  const error = await copyWith((_chunk, client) => void client.end());
  expect(error).toMatchObject({ code: "postgres.connection_lost" });
});

test("bytes that are no protocol end the session, not the process", async () => {
  const error = await copyWith((chunk) => Buffer.alloc(chunk.byteLength));
  expect(error).toMatchObject({ code: "postgres.copy_incomplete", kind: "corrupt" });
});
