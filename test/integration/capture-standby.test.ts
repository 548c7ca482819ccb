import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { toAppError } from "../../src/kernel/index.ts";
import { captureToMemory } from "../support/capture.ts";
import type { TestCapture } from "../support/capture.ts";
import { createTestDatabase, failOnLeakedSessions, startCluster } from "../support/cluster.ts";
import type { Cluster, TestDatabase } from "../support/cluster.ts";
import { startStandby } from "../support/standby.ts";
import type { Standby } from "../support/standby.ts";

let primary: Cluster;
let standby: Standby;

beforeAll(async () => {
  primary = await startCluster({
    settings: { synchronous_commit: "on", wal_sender_timeout: "2s" },
  });
  standby = await startStandby(primary, {
    // The trap's conditions: what has to be replayed waits for nobody.
    hot_standby_feedback: "off",
    max_standby_streaming_delay: "0",
  });
});
afterAll(async () => {
  await standby[Symbol.asyncDispose]();
  await primary[Symbol.asyncDispose]();
});
afterEach(() => failOnLeakedSessions(primary));

const ROWS = 1_000;
const SCRIPT = `
  CREATE TABLE orders (id int PRIMARY KEY, note text);
  INSERT INTO orders SELECT i, 'order ' || i FROM generate_series(1, ${ROWS}) i;
  CREATE SEQUENCE numbers; SELECT nextval('numbers');
  SELECT lo_from_bytea(0, 'large');`;
const ORDERS = "database/tables/public/orders/0000.copy";

function database(): Promise<TestDatabase> {
  return createTestDatabase({ cluster: primary, script: SCRIPT });
}

function rowsOf(capture: TestCapture): string | undefined {
  return capture.database.tables.find(({ name }) => name === "orders")?.rows;
}

async function commitTime(one: TestDatabase): Promise<Date> {
  const [row] = await one.query<{ now: Date }>("SELECT clock_timestamp() AS now");
  if (row === undefined) throw new Error("no clock");
  return row.now;
}

describe("a standby as the source", () => {
  test("gives the same rows, roles and schema as its primary, and is known for the same server", async () => {
    await using one = await database();
    await standby.caughtUp();
    const [of, from] = [
      await captureToMemory(standby.url(one.name)),
      await captureToMemory(one.url),
    ];
    expect(of.issues).toEqual([]);
    expect(await of.table("orders")).toBe(await from.table("orders"));
    expect(of.database.tables).toEqual(from.database.tables);
    // Replay itself jumps ahead, as recovery does: numbers are skipped, never given twice.
    const [ahead] = of.database.sequences;
    expect(Number(ahead?.lastValue)).toBeGreaterThanOrEqual(
      Number(from.database.sequences[0]?.lastValue),
    );
    expect(of.database.largeObjects).toEqual(from.database.largeObjects);
    expect(of.database.roles).toEqual(from.database.roles);
    // What source and target are told apart by: a restore into the primary is a restore into the source.
    expect(of.database.server).toEqual(from.database.server);
    expect(of.database.server.systemIdentifier).toMatch(/^\d+$/);
    expect(of.database.snapshot.insertLsnAfter).toBeUndefined();
    expect(from.database.snapshot.insertLsnAfter).toBeDefined();
  });

  test("that lags is not taken for newer than it is", async () => {
    await using one = await database();
    await standby.caughtUp();
    await standby.pauseReplay();
    const paused = await commitTime(one);
    await one.query("INSERT INTO orders VALUES (-1, 'after the pause')");
    const late = await captureToMemory(standby.url(one.name));
    await standby.resumeReplay();
    expect(rowsOf(late)).toBe(String(ROWS));
    const { takenAt } = late.database.snapshot;
    expect(new Date(takenAt).getTime()).toBeLessThanOrEqual(paused.getTime());
    const said = late.database.leftOut.filter(({ object }) => object.endsWith(takenAt));
    expect(said).toMatchObject([
      { object: `what was committed after ${takenAt}`, reason: expect.stringContaining("standby") },
    ]);
  });

  test("that has replayed everything is as new as its primary's last word, however idle", async () => {
    await using one = await database();
    await standby.caughtUp();
    const idleSince = await commitTime(one);
    // Keepalives come by themselves.
    const seen = async (): Promise<number> => {
      const capture = await captureToMemory(standby.url(one.name));
      return new Date(capture.database.snapshot.takenAt).getTime();
    };
    await expect
      .poll(seen, { timeout: 120_000, interval: 300 })
      .toBeGreaterThan(idleSince.getTime());
  });

  test("whose moment nobody knows is refused, by name", async () => {
    await using one = await database();
    const role = { name: "reader", password: "secret" };
    await one.query("CREATE ROLE reader LOGIN PASSWORD 'secret' IN ROLE pg_read_all_data");
    await standby.caughtUp();
    await one.query("CHECKPOINT");
    await standby.hasReplayed();
    // Makes a restart point, behind which there is nothing to replay.
    await standby.cluster.stop();
    await standby.cluster.start();
    await standby.hasReplayed();
    // It has replayed nothing since, and the role may not see what its receiver hears.
    const refused = await captureToMemory(standby.url(one.name, role)).catch(toAppError);
    expect(refused).toMatchObject({ code: "source.standby_moment_unknown", kind: "unavailable" });
    await one.query("INSERT INTO orders VALUES (-2, 'something to replay')");
    await standby.caughtUp();
    const capture = await captureToMemory(standby.url(one.name, role));
    expect(rowsOf(capture)).toBe(String(ROWS + 1));
    await one.query("DROP ROLE reader");
  });
});

describe("a conflict with what a standby has to replay", () => {
  const HOLDER = "SELECT FROM pg_stat_activity WHERE application_name = 'sparekeep snapshot'";

  /** Takes rows away that the snapshot sees, until the standby has replayed it, for which it had to end the snapshot. */
  async function vacuumAway(one: TestDatabase): Promise<void> {
    const role = { name: primary.superuser, password: primary.password };
    do {
      await one.query("DELETE FROM orders WHERE id = (SELECT max(id) FROM orders)");
      await one.query("VACUUM orders");
      await standby.caughtUp();
    } while ((await standby.cluster.query(HOLDER, { role })).length > 0);
  }

  test("begins again under a new snapshot, with nothing left of the old one", async () => {
    await using one = await database();
    await standby.caughtUp();
    let times = 0;
    const capture = await captureToMemory(standby.url(one.name), {
      hooks: {
        beforeFile: async (path) => {
          if (path !== "database/large-objects" && !path.startsWith("database/large-objects/"))
            return;
          times += 1;
          if (times === 1) await vacuumAway(one);
        },
      },
    });
    expect(times).toBe(2);
    expect(capture.notices?.[0]).toMatch(/^capture that began again under a new snapshot: /);
    expect(capture.issues).toEqual([]);
    const [left] = await one.query<{ rows: number }>("SELECT count(*)::int AS rows FROM orders");
    expect(left?.rows).toBeLessThan(ROWS);
    expect(rowsOf(capture)).toBe(String(left?.rows));
    expect((await capture.table("orders")).match(/\n/g)).toHaveLength(left?.rows ?? 0);
    expect(capture.paths.filter((path) => path.includes("/orders/"))).toEqual([ORDERS]);
  });

  test("that comes each time ends the run by name, with what helps", async () => {
    await using one = await database();
    await standby.caughtUp();
    let times = 0;
    const error = await captureToMemory(standby.url(one.name), {
      hooks: {
        beforeFile: async (path) => {
          if (!path.startsWith("database/large-objects/")) return;
          times += 1;
          await vacuumAway(one);
        },
      },
    }).catch(toAppError);
    expect(times).toBe(3);
    expect(error).toMatchObject({
      code: "postgres.recovery_conflict",
      kind: "unavailable",
      hint: expect.stringContaining("hot_standby_feedback") as string,
    });
  });
});
