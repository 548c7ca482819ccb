import { afterEach, describe, expect, test } from "vitest";
import { Secret, silentLog, systemClock, toAppError } from "../../src/kernel/index.ts";
import { connect } from "../../src/postgres/index.ts";
import type { Connection } from "../../src/postgres/index.ts";
import { captureDump } from "../../src/source/index.ts";
import { captureToMemory, testTools } from "../support/capture.ts";
import type { TestCaptureOptions } from "../support/capture.ts";
import { createTestDatabase, failOnLeakedSessions, sharedCluster } from "../support/cluster.ts";
import type { TestDatabase } from "../support/cluster.ts";

afterEach(async () => {
  await failOnLeakedSessions(await sharedCluster());
});

const ROWS = 2_000;
const SCRIPT = `
  CREATE TABLE orders (id int PRIMARY KEY, note text);
  INSERT INTO orders SELECT i, 'order ' || i FROM generate_series(1, ${ROWS}) i;
  CREATE TABLE parts AS SELECT i FROM generate_series(1, 10) i;`;
const ORDERS = "database/tables/public/orders/0000.copy";
const SCHEMA = "database/schema.dump";
/** pg_dump is not done with it before somebody has read it. */
const LARGE = `${SCRIPT}
  DO $$ BEGIN
    EXECUTE format('CREATE FUNCTION large() RETURNS text LANGUAGE sql AS %L', format('SELECT %L', repeat('x', 2000000)));
  END $$;
  CREATE TABLE filler AS SELECT md5(i::text) AS noise FROM generate_series(1, 100000) i;`;
/** Far beyond what a test takes: nobody gives way. */
const FOR_EVER_MS = 3_600_000;
const PATIENCE_MS = 300;
const LOCK = "BEGIN; LOCK TABLE public.orders; COMMIT";

function open(database: TestDatabase, name = "app"): Promise<Connection> {
  const url = new Secret(database.url);
  return connect({ url, applicationName: name, readOnly: false, lockTimeoutMs: 0 });
}

/** Who waits for whom. */
async function waiting(database: TestDatabase): Promise<{ waiter: string; holder: string }[]> {
  return database.query(
    `SELECT DISTINCT w.application_name AS waiter, h.application_name AS holder
       FROM pg_stat_activity w, unnest(pg_blocking_pids(w.pid)) b(pid), pg_stat_activity h
      WHERE h.pid = b.pid AND w.datname = current_database() ORDER BY 1, 2`,
  );
}

async function until(database: TestDatabase, waiter: string): Promise<void> {
  await expect
    .poll(async () => (await waiting(database)).map((one) => one.waiter), { timeout: 60_000 })
    .toContain(waiter);
}

/** A migration, and the application behind it. */
class Queue implements AsyncDisposable {
  readonly #migration: Connection;
  readonly #application: Connection;
  readonly done: Promise<unknown>;

  private constructor(migration: Connection, application: Connection, done: Promise<unknown>) {
    this.#migration = migration;
    this.#application = application;
    this.done = done;
  }

  /** Resolves when both wait: the migration behind the backup, the application behind the migration. */
  static async form(database: TestDatabase, ddl: string): Promise<Queue> {
    const migration = await open(database, "migration");
    const application = await open(database, "application");
    const migrated = migration.query(ddl);
    migrated.catch(() => undefined);
    await until(database, "migration");
    const read = application.query("SELECT count(*) FROM public.orders");
    await until(database, "application");
    return new Queue(migration, application, Promise.all([migrated, read]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#migration[Symbol.asyncDispose]();
    await this.#application[Symbol.asyncDispose]();
  }
}

/** Holds the file's stream up, once, until `release`. */
function stall(path: string, work: () => Promise<unknown>): TestCaptureOptions {
  let stalled = false;
  return {
    hooks: {
      duringFile: async (file) => {
        if (file !== path || stalled) return;
        stalled = true;
        await work();
      },
    },
  };
}

function rowsOf(capture: Awaited<ReturnType<typeof captureToMemory>>): Record<string, string> {
  return Object.fromEntries(capture.database.tables.map(({ name, rows }) => [name, rows]));
}

describe("a migration that waits for a backup", () => {
  test("the trap: it waits as long as a part is read, and the application behind it", async () => {
    await using database = await createTestDatabase({ script: SCRIPT });
    let queue: Queue | undefined;
    const seen: { waiter: string; holder: string }[] = [];
    const capture = await captureToMemory(database.url, {
      lockPatienceMs: FOR_EVER_MS,
      ...stall(ORDERS, async () => {
        queue = await Queue.form(database, "ALTER TABLE public.orders ADD COLUMN extra int");
        // Looked at as often as the watch looks by itself, and more.
        for (let look = 0; look < 20; look += 1) {
          await database.query("SELECT pg_sleep(0.1)");
          seen.push(...(await waiting(database)));
        }
      }),
    });
    await queue?.done;
    await queue?.[Symbol.asyncDispose]();
    expect(seen.filter((one) => one.waiter === "migration")).toEqual(
      Array.from({ length: 20 }, () => ({ waiter: "migration", holder: "sparekeep copy" })),
    );
    expect(seen.filter((one) => one.holder === "migration")).toHaveLength(20);
    expect(capture.issues).toEqual([]);
  });

  test("is let through, with the application behind it, and the part is read again as it was", async () => {
    await using database = await createTestDatabase({ script: SCRIPT });
    const before = await captureToMemory(database.url);
    const capture = await captureToMemory(database.url, {
      lockPatienceMs: PATIENCE_MS,
      ...stall(ORDERS, async () => {
        await using queue = await Queue.form(
          database,
          "ALTER TABLE public.orders ADD COLUMN extra int; INSERT INTO public.orders VALUES (-1)",
        );
        // The stream stands still until both are through: only giving the lock up lets them.
        await queue.done;
      }),
    });
    expect(capture.issues).toEqual([]);
    expect(rowsOf(capture)).toEqual({ orders: String(ROWS), parts: "10" });
    expect(await capture.table("orders")).toBe(await before.table("orders"));
    expect(capture.paths.filter((path) => path.includes("/orders/"))).toEqual([ORDERS]);
    expect(capture.notices).toEqual([
      "table public.orders that gave way to a session that waited for it, and was read again",
    ]);
  });

  test("one that rewrites the table is let through, and the run says what it lacks", async () => {
    await using database = await createTestDatabase({ script: SCRIPT });
    const capture = await captureToMemory(database.url, {
      lockPatienceMs: PATIENCE_MS,
      ...stall(ORDERS, async () => {
        await using queue = await Queue.form(database, "TRUNCATE public.orders");
        await queue.done;
      }),
    });
    expect(capture.issues).toMatchObject([{ code: "table_rewritten", object: "public.orders" }]);
    expect(rowsOf(capture)).toEqual({ parts: "10" });
    expect(capture.paths.filter((path) => path.includes("orders"))).toEqual([]);
  });

  test("that comes each time makes the table an issue", async () => {
    await using database = await createTestDatabase({ script: SCRIPT });
    let times = 0;
    const capture = await captureToMemory(database.url, {
      lockPatienceMs: PATIENCE_MS,
      hooks: {
        duringFile: async (path) => {
          if (path !== ORDERS) return;
          times += 1;
          await using queue = await Queue.form(database, LOCK);
          await queue.done;
        },
      },
    });
    expect(times).toBe(3);
    expect(capture.issues).toMatchObject([{ code: "table_yielded", object: "public.orders" }]);
    expect(capture.issues[0]?.hint).toContain("lock_patience");
    expect(rowsOf(capture)).toEqual({ parts: "10" });
  });

  test("is let through where pg_dump holds it up, and all begins again under a new snapshot", async () => {
    await using database = await createTestDatabase({ script: LARGE });
    const capture = await captureToMemory(database.url, {
      lockPatienceMs: PATIENCE_MS,
      ...stall(SCHEMA, async () => {
        await using queue = await Queue.form(
          database,
          "ALTER TABLE public.orders ADD COLUMN extra int; INSERT INTO public.orders VALUES (-1)",
        );
        await queue.done;
      }),
    });
    expect(capture.issues).toEqual([]);
    expect(rowsOf(capture)).toMatchObject({ orders: String(ROWS + 1), parts: "10" });
    const orders = capture.database.tables.find(({ name }) => name === "orders");
    expect(orders?.columns.map(({ name }) => name)).toEqual(["id", "note", "extra"]);
  });

  test("that meets pg_dump each time ends the run by name", async () => {
    await using database = await createTestDatabase({ script: LARGE });
    let times = 0;
    const error = await captureToMemory(database.url, {
      lockPatienceMs: PATIENCE_MS,
      hooks: {
        duringFile: async (path) => {
          if (path !== SCHEMA) return;
          times += 1;
          await using queue = await Queue.form(database, LOCK);
          await queue.done;
        },
      },
    }).catch(toAppError);
    expect(error).toMatchObject({ code: "source.ddl_waited", kind: "locked" });
    expect(times).toBe(3);
  });

  test("is no victim of a deadlock with pg_dump: who waits for it while it waits is let through at once", async () => {
    await using database = await createTestDatabase({
      script: "CREATE TABLE early (a int); CREATE TABLE late (a int);",
    });
    // Neither side's own patience ends it, nor the server.
    await database.query(`ALTER DATABASE ${database.name} SET deadlock_timeout = '1h'`);
    await using migration = await open(database, "migration");
    let crossed: Promise<unknown> | undefined;
    const capture = await captureToMemory(database.url, {
      lockPatienceMs: FOR_EVER_MS,
      lockTimeoutMs: FOR_EVER_MS,
      hooks: {
        beforeFile: async (path) => {
          if (path !== SCHEMA || crossed !== undefined) return;
          await migration.query("BEGIN; LOCK TABLE public.late");
          crossed = (async () => {
            await expect
              .poll(
                async () => (await waiting(database)).map(({ waiter }) => waiter.slice(0, 17)),
                {
                  timeout: 60_000,
                },
              )
              .toContain("sparekeep pg_dump");
            await migration.query("LOCK TABLE public.early; COMMIT");
          })();
        },
      },
    });
    await crossed;
    expect(capture.issues).toEqual([]);
    expect(rowsOf(capture)).toEqual({ early: "0", late: "0" });
  });

  test("is seen by a role that may do nothing but read", async () => {
    await using database = await createTestDatabase({ script: LARGE });
    const role = { name: `reads_${process.pid}`, password: "secret" };
    await database.query(
      `CREATE ROLE ${role.name} LOGIN PASSWORD 'secret' IN ROLE pg_read_all_data`,
    );
    const stalled = new Set<string>();
    const running = captureToMemory(database.cluster.url(database.name, role), {
      lockPatienceMs: PATIENCE_MS,
      hooks: {
        duringFile: async (path) => {
          if (stalled.has(path) || (path !== SCHEMA && path !== ORDERS)) return;
          stalled.add(path);
          await using queue = await Queue.form(database, LOCK);
          await queue.done;
        },
      },
    });
    const [capture] = await Promise.allSettled([running]);
    await database.query(`DROP OWNED BY ${role.name}; DROP ROLE ${role.name}`);
    expect(capture).toMatchObject({ status: "fulfilled", value: { issues: [] } });
    expect([...stalled]).toEqual([SCHEMA, ORDERS]);
    expect((await running).notices).toHaveLength(2);
  });

  test("ends a portable dump, which holds every table from its beginning to its end", async () => {
    await using database = await createTestDatabase({ script: LARGE });
    let met = false;
    const error = await captureDump({
      url: new Secret(database.url),
      tools: await testTools(),
      // Encrypts nothing: what it is given comes back piece by piece.
      keyring: { encrypt: (pieces) => pieces },
      for: { passphrase: new Secret("unused") },
      write: async () => {
        if (met) return;
        met = true;
        await using queue = await Queue.form(database, LOCK);
        await queue.done;
      },
      clock: systemClock,
      log: silentLog,
      lockPatienceMs: PATIENCE_MS,
      signal: new AbortController().signal,
    }).catch(toAppError);
    expect(error).toMatchObject({ code: "source.ddl_waited", kind: "locked" });
  });
});

describe("a statement CONCURRENTLY", () => {
  test("that waits for the lock of a part is let through", async () => {
    await using database = await createTestDatabase({
      script: `${SCRIPT} CREATE INDEX by_note ON orders (note);`,
    });
    const capture = await captureToMemory(database.url, {
      lockPatienceMs: PATIENCE_MS,
      ...stall(ORDERS, async () => {
        await using migration = await open(database, "migration");
        const dropped = migration.query("DROP INDEX CONCURRENTLY public.by_note");
        await until(database, "migration");
        await dropped;
      }),
    });
    expect(capture.issues).toEqual([]);
    expect(rowsOf(capture)).toEqual({ orders: String(ROWS), parts: "10" });
  });

  test("that waits for the snapshot is said aloud, and nothing is given up in vain", async () => {
    await using database = await createTestDatabase({ script: SCRIPT });
    let created: Promise<unknown> | undefined;
    await using migration = await open(database, "migration");
    const capture = await captureToMemory(database.url, {
      lockPatienceMs: PATIENCE_MS,
      ...stall(ORDERS, async () => {
        created = migration.query("CREATE INDEX CONCURRENTLY by_note ON public.orders (note)");
        await until(database, "migration");
        // As many looks as make it wait for too long, and more.
        for (let look = 0; look < 20; look += 1) await database.query("SELECT pg_sleep(0.1)");
      }),
    });
    await created;
    expect(capture.issues).toEqual([]);
    expect(capture.notices).toEqual([
      expect.stringMatching(/^session \d+, a statement CONCURRENTLY, that waited for the end of/),
    ]);
  });
});
