import { once } from "node:events";
import { createConnection, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Secret, toAppError } from "../../src/kernel/index.ts";
import type { AppError } from "../../src/kernel/index.ts";
import { connect, proveSession } from "../../src/postgres/index.ts";
import { failOnLeakedSessions, startCluster } from "../support/cluster.ts";
import type { Cluster } from "../support/cluster.ts";
import { startPgBouncer } from "../support/pgbouncer.ts";
import type { PgBouncerOptions } from "../support/pgbouncer.ts";

let cluster: Cluster;
const { signal } = new AbortController();

beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(async () => {
  await failOnLeakedSessions(cluster);
  await cluster[Symbol.asyncDispose]();
});

function prove(url: string): ReturnType<typeof proveSession> {
  return proveSession({ url: new Secret(url), applicationName: "sparekeep test", signal });
}

async function failure(work: Promise<unknown>): Promise<AppError> {
  try {
    await work;
  } catch (error) {
    return toAppError(error);
  }
  throw new Error("expected an error");
}

function open(url: string): ReturnType<typeof connect> {
  return connect({ url: new Secret(url), applicationName: "sparekeep test", readOnly: true });
}

test("a server itself holds a session and an exported snapshot, and is no pooler", async () => {
  expect(await prove(cluster.url("postgres"))).toMatchObject({
    pooled: false,
    pgSnapshot: expect.stringMatching(/^\d+:\d+:/),
  });
});

test("a pooler in session mode holds both, and the session knows the process behind it", async () => {
  await using bouncer = await startPgBouncer(cluster, { mode: "session" });
  expect(await prove(bouncer.url("postgres"))).toMatchObject({ pooled: true });
  await using session = await open(bouncer.url("postgres"));
  const [row] = await session.query<{ pid: number; path: string; mode: string }>(
    "SELECT pg_backend_pid() AS pid, current_setting('search_path') AS path, current_setting('default_transaction_read_only') AS mode",
  );
  expect(session.pooled).toBe(true);
  expect(row).toEqual({ pid: session.backendPid, path: "", mode: "on" });
});

const HIDDEN: readonly [string, PgBouncerOptions][] = [
  ["transaction mode", { mode: "transaction" }],
  [
    "transaction mode, backends in turn",
    { mode: "transaction", settings: { server_round_robin: "1" } },
  ],
  ["transaction mode, one backend", { mode: "transaction", settings: { default_pool_size: "1" } }],
];

test.each(HIDDEN)("%s is found out, although its port and name say nothing", async (_name, how) => {
  await using bouncer = await startPgBouncer(cluster, how);
  const url = bouncer.url("postgres");
  // Idle backends of an application, so that there is something to take turns among.
  await busy(url, 3);
  const error = await failure(prove(url));
  expect(error).toMatchObject({ code: "postgres.session_not_held", kind: "incompatible" });
  expect(error.hint).toContain("session mode");
  expect(await failure(open(url))).toMatchObject({ code: "postgres.session_not_held" });
  await demandUntouched(url);
});

/** Sessions that are open at once, so that the pooler opens as many backends. */
async function busy(url: string, count: number): Promise<void> {
  const { Client } = await import("pg");
  const clients = Array.from({ length: count }, () => new Client(url));
  await Promise.all(clients.map((client) => client.connect()));
  await Promise.all(clients.map((client) => client.query("SELECT pg_sleep(0.2)")));
  await Promise.all(clients.map((client) => client.end()));
}

/** The application's backends are as it left them: it writes, and finds its tables. */
async function demandUntouched(url: string): Promise<void> {
  const { Client } = await import("pg");
  const clients = Array.from({ length: 6 }, () => new Client(url));
  await Promise.all(clients.map((client) => client.connect()));
  const asked = clients.map((client) =>
    client.query(
      "SELECT current_setting('search_path') AS path, current_setting('default_transaction_read_only') AS mode, pg_sleep(0.1)",
    ),
  );
  const seen = (await Promise.all(asked)).map(({ rows }) => rows[0]);
  await Promise.all(clients.map((client) => client.end()));
  for (const row of seen) expect(row).toMatchObject({ path: '"$user", public', mode: "off" });
}

test("statement mode is refused", async () => {
  await using bouncer = await startPgBouncer(cluster, { mode: "statement" });
  expect((await failure(open(bouncer.url("postgres")))).code).toMatch(
    /^postgres\.(?:session_not_held|statement_failed|unreachable)$/,
  );
});
test("two servers behind one address share no snapshot, and are found out though each keeps its sessions", async () => {
  await using other = await startCluster();
  const role = { name: "twofold", password: "of both" };
  for (const one of [cluster, other])
    await one.psql("CREATE ROLE twofold LOGIN PASSWORD 'of both'", "postgres");
  await using balancer = await startBalancer([cluster.port, other.port]);
  const url = `postgresql://${role.name}:${encodeURIComponent(role.password)}@127.0.0.1:${balancer.port}/postgres`;
  await (await open(url))[Symbol.asyncDispose]();
  const error = await failure(prove(url));
  expect(error).toMatchObject({ code: "postgres.session_not_held" });
  expect(error.message).toContain("snapshot exported by one session");
});

/** Each connection goes to the next server in turn. */
async function startBalancer(
  ports: readonly number[],
): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>();
  let turn = 0;
  const server = createServer((client) => {
    const behind = createConnection(ports[turn % ports.length] ?? 0, "127.0.0.1");
    turn += 1;
    for (const socket of [client, behind]) sockets.add(socket.on("error", () => undefined));
    client.pipe(behind).pipe(client);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
