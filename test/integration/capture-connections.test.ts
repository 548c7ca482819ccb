import { Client } from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Secret, silentLog, systemClock, toAppError } from "../../src/kernel/index.ts";
import { captureDump } from "../../src/source/index.ts";
import { captureToMemory, testTools } from "../support/capture.ts";
import type { TestCapture, TestCaptureOptions } from "../support/capture.ts";
import { createTestDatabase, failOnLeakedSessions, startCluster } from "../support/cluster.ts";
import type { Cluster, TestDatabase } from "../support/cluster.ts";

const MAX_CONNECTIONS = 16;
const RESERVED = 3;
const BACKUP = { name: "backup", password: "secret" };
const APP = { name: "app", password: "secret" };
const COPY = /\/0000\.copy$/;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({
    settings: {
      max_connections: String(MAX_CONNECTIONS),
      superuser_reserved_connections: String(RESERVED),
      autovacuum: "off",
    },
  });
  await cluster.query("CREATE ROLE app LOGIN PASSWORD 'secret'");
  await cluster.query("CREATE ROLE backup LOGIN PASSWORD 'secret' BYPASSRLS");
  await cluster.query("GRANT pg_read_all_data TO backup");
});
afterAll(() => cluster[Symbol.asyncDispose]());
afterEach(() => failOnLeakedSessions(cluster));

/** Tables that are all read at once where there are connections. */
const SCRIPT = Array.from({ length: 6 }, (_, i) => `CREATE TABLE t${i} AS SELECT ${i} AS a;`).join(
  "\n",
);

function database(): Promise<TestDatabase> {
  return createTestDatabase({ cluster, script: SCRIPT });
}

let open = 0;

/** The server has forgotten whoever has left: it does so a moment after they have. */
async function settled(): Promise<void> {
  const clients = async (): Promise<number | undefined> => {
    const rows = await cluster.query<{ clients: number }>(
      `SELECT count(*)::int AS clients FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`,
    );
    return rows[0]?.clients;
  };
  await expect.poll(clients, { timeout: 60_000 }).toBe(open);
}

/** Sessions of the application, kept open. */
class Application implements AsyncDisposable {
  readonly #clients: Client[] = [];
  readonly #database: string;

  constructor(name: string) {
    this.#database = name;
  }

  async connect(): Promise<void> {
    const client = new Client({ connectionString: cluster.url(this.#database, APP) });
    client.on("error", () => undefined);
    await client.connect();
    this.#clients.push(client);
    open += 1;
  }

  async take(count: number): Promise<void> {
    for (let i = 0; i < count; i += 1) await this.connect();
  }

  async leave(): Promise<void> {
    const client = this.#clients.pop();
    if (client === undefined) return;
    open -= 1;
    await client.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    while (this.#clients.length > 0) await this.leave();
  }
}

interface Seen {
  readonly capture: TestCapture;
  readonly copies: number;
  readonly said: readonly string[];
}

/** Every part waits until as many are read at once as ever will be. */
async function capture(
  one: TestDatabase,
  options: TestCaptureOptions,
  meanwhile: () => Promise<void> = async () => undefined,
): Promise<Seen> {
  let copies = 0;
  let first: Promise<void> | undefined;
  await settled();
  const captured = await captureToMemory(cluster.url(one.name, BACKUP), {
    ...options,
    hooks: {
      duringFile: async (path) => {
        if (!COPY.test(path)) return;
        // All of them wait for it: our own questions below take connections, too.
        first ??= meanwhile();
        await first;
        await one.query("SELECT pg_sleep(0.3)");
        const rows = await one.query<{ copies: number }>(
          "SELECT count(*)::int AS copies FROM pg_stat_activity WHERE application_name = 'sparekeep copy'",
        );
        copies = Math.max(copies, rows[0]?.copies ?? 0);
      },
    },
  });
  return { capture: captured, copies, said: captured.notices ?? [] };
}

const FOR_ROLES = MAX_CONNECTIONS - RESERVED;
/** Snapshot, watch and control. */
const OTHERS = 3;

describe("connections of a capture", () => {
  test("the trap: whoever takes all of them leaves the application none", async () => {
    await using one = await database();
    await using application = new Application(one.name);
    await application.take(FOR_ROLES);
    await expect(application.connect()).rejects.toMatchObject({ code: "53300" });
  });

  test("are as many as asked for where there is room", async () => {
    await using one = await database();
    const { capture: captured, copies, said } = await capture(one, { connections: 4 });
    expect(captured.issues).toEqual([]);
    expect([copies, said]).toEqual([4, []]);
  });

  test("are fewer where the application needs the rest, to whom one is left", async () => {
    await using one = await database();
    await using application = new Application(one.name);
    const copiesLeft = 2;
    await application.take(FOR_ROLES - OTHERS - copiesLeft - 1);
    const seen = await capture(one, { connections: 6 }, () => application.connect());
    expect(seen.capture.issues).toEqual([]);
    expect(seen.capture.database.tables).toHaveLength(6);
    expect(seen.copies).toBe(copiesLeft);
    expect(seen.said).toEqual([
      `${copiesLeft} connections for reading in place of 6: the server allowed ${copiesLeft + 2} more, and the application keeps one`,
    ]);
  });

  test("are none, by name, where not even one is to be had", async () => {
    await using one = await database();
    await using application = new Application(one.name);
    await application.take(FOR_ROLES - OTHERS - 1);
    const refused = await capture(one, { connections: 6 }).catch(toAppError);
    expect(refused).toMatchObject({ code: "source.too_few_connections", kind: "unavailable" });
    // One fewer of theirs, and there is room: the count is exact.
    await application.leave();
    expect((await capture(one, { connections: 6 })).copies).toBe(1);
  });

  test.for([
    ["the role", "ALTER ROLE backup CONNECTION LIMIT 6", "ALTER ROLE backup CONNECTION LIMIT -1"],
    ["the database", "ALTER DATABASE @ CONNECTION LIMIT 6", undefined],
  ] as const)("keep to the limit of %s", async ([of, limit, undo]) => {
    await using one = await database();
    await one.query(limit.replace("@", one.name));
    try {
      const { copies, said } = await capture(one, { connections: 6 });
      expect(copies).toBe(6 - OTHERS - 1);
      expect(said).toEqual([
        `2 connections for reading in place of 6: ${of} allowed 4 more, and the application keeps one`,
      ]);
    } finally {
      if (undo !== undefined) await one.query(undo);
    }
  });

  test("that are gone in the middle of a run are done without", async () => {
    await using one = await database();
    await settled();
    let limited = false;
    const running = captureToMemory(cluster.url(one.name, BACKUP), {
      connections: 4,
      hooks: {
        afterFile: async (path) => {
          if (limited || path !== "database/schema.dump") return;
          limited = true;
          // Snapshot, watch and control are there; one reader more, and not the four that were counted on.
          await one.query(`ALTER ROLE backup CONNECTION LIMIT ${OTHERS + 1}`);
        },
      },
    });
    const [captured] = await Promise.allSettled([running]);
    await one.query("ALTER ROLE backup CONNECTION LIMIT -1");
    expect(captured).toMatchObject({ status: "fulfilled", value: { issues: [] } });
    expect((await running).database.tables).toHaveLength(6);
  });
});

describe("connections of a portable dump", () => {
  test("are none, by name, where the application would have none left", async () => {
    await using one = await database();
    await using application = new Application(one.name);
    await application.take(FOR_ROLES - 4);
    await settled();
    const dump = captureDump({
      url: new Secret(cluster.url(one.name, BACKUP)),
      tools: await testTools(),
      keyring: { encrypt: (pieces) => pieces },
      for: { passphrase: new Secret("unused") },
      write: async () => undefined,
      clock: systemClock,
      log: silentLog,
      signal: new AbortController().signal,
    });
    await expect(dump).rejects.toMatchObject({ code: "source.too_few_connections" });
  });
});
