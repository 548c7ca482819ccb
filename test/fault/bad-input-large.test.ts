import { afterEach, describe, expect, test } from "vitest";
import { planRestore } from "../../src/restore/index.ts";
import { captureToMemory } from "../support/capture.ts";
import {
  createTestDatabase,
  failOnLeakedSessions,
  sharedCluster,
  startCluster,
} from "../support/cluster.ts";
import { captureForRestore, restoreOptions } from "../support/restore.ts";

/** `npm run test:fault` asks for the full sizes: minutes, and gigabytes of memory for a moment. */
const LONG = process.env["TEST_LONG"] === "1";
const TABLES = LONG ? 10_000 : 400;
const FIELD_BYTES = LONG ? 1_000_000_000 : 280 * 1024 * 1024;
const LONG_MS = 1_800_000;

afterEach(async () => {
  await failOnLeakedSessions(await sharedCluster());
});

describe("a database of many tables", () => {
  test(
    `${TABLES} tables, each with an index, a sequence and a row, come back`,
    { timeout: LONG_MS },
    async () => {
      // pg_dump locks every table at once; a server with the default has room for some six thousand.
      const settings = { max_locks_per_transaction: "256" };
      await using cluster = await startCluster({ settings });
      await using source = await createTestDatabase({ cluster });
      const perScript = 500;
      for (let from = 1; from <= TABLES; from += perScript) {
        const to = Math.min(from + perScript - 1, TABLES);
        await source.psql(`DO $$ BEGIN FOR i IN ${from}..${to} LOOP
        EXECUTE format('CREATE TABLE t_%s (id serial PRIMARY KEY, v int DEFAULT %s); INSERT INTO t_%s DEFAULT VALUES', i, i, i);
      END LOOP; END $$`);
      }
      const made = await captureForRestore(source.url);
      expect(made.manifest.database.tables).toHaveLength(TABLES);
      expect(made.manifest.database.sequences).toHaveLength(TABLES);
      await using target = await startCluster();
      const result = await (await planRestore(restoreOptions(made, target.url("back")))).execute();
      expect(result.issues).toEqual([]);
      expect(result.verified).toEqual({ tables: TABLES, rows: BigInt(TABLES) });
      const [found] = await target.query(
        `SELECT count(*) FILTER (WHERE relkind = 'r')::int AS tables, count(*) FILTER (WHERE relkind = 'i')::int AS indexes,
              count(*) FILTER (WHERE relkind = 'S')::int AS sequences
         FROM pg_class WHERE relnamespace = 'public'::regnamespace`,
        { database: "back" },
      );
      expect(found).toEqual({ tables: TABLES, indexes: TABLES, sequences: TABLES });
    },
  );
});

describe("a huge field", () => {
  test(`of ${FIELD_BYTES} bytes comes back`, { timeout: LONG_MS }, async () => {
    await using source = await createTestDatabase({
      script: `CREATE TABLE huge (id int, v bytea, t text);
        INSERT INTO huge SELECT 1, convert_to(repeat('abcdefgh', ${FIELD_BYTES / 8}), 'UTF8'), 'beside it';`,
    });
    // What compresses well is found when its text fails; that limit is the server's own.
    await source.query("ALTER TABLE huge ALTER v SET STORAGE EXTERNAL");
    await source.query("UPDATE huge SET v = v || ''::bytea");
    const made = await captureForRestore(source.url);
    expect(made.manifest.database.tables).toMatchObject([{ name: "huge", format: "binary" }]);
    await using target = await startCluster();
    const result = await (await planRestore(restoreOptions(made, target.url("back")))).execute();
    expect(result.issues).toEqual([]);
    const size = "SELECT octet_length(v)::int AS bytes, md5(v) AS hash, t FROM huge";
    const [before] = await source.query(size);
    expect(before).toMatchObject({ bytes: FIELD_BYTES });
    expect(await target.query(size, { database: "back" })).toEqual([before]);
  });

  test("too large for any message is an issue by name", { timeout: LONG_MS }, async () => {
    await using source = await createTestDatabase({
      script: `CREATE TABLE huge (a bytea, b bytea); CREATE TABLE beside AS SELECT 1 AS a;
        INSERT INTO huge (a) SELECT convert_to(repeat('abcdefgh', 75000000), 'UTF8');
        UPDATE huge SET b = a;`,
    });
    const { issues, database } = await captureToMemory(source.url);
    expect(issues).toMatchObject([{ code: "value_too_large", object: "public.huge" }]);
    expect(database.tables.map(({ name }) => name)).toEqual(["beside"]);
  });
});
