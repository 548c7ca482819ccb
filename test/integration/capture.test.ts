import { afterEach, describe, expect, test } from "vitest";
import { createTestDatabase, failOnLeakedSessions, sharedCluster } from "../support/cluster.ts";
import { captureToMemory } from "../support/capture.ts";

afterEach(async () => {
  await failOnLeakedSessions(await sharedCluster());
});

describe("a whole database", () => {
  test("rows, schema, sequences and roles under one snapshot", async () => {
    await using database = await createTestDatabase({
      script: `
        CREATE TABLE parts (id bigserial PRIMARY KEY, name text, price numeric, added timestamptz);
        INSERT INTO parts (name, price, added)
          SELECT 'part ' || i, i * 1.5, '2026-11-03 10:00+00' FROM generate_series(1, 1000) i;
        CREATE TABLE empty (a int);`,
    });
    const capture = await captureToMemory(database.url);
    expect(capture.issues).toEqual([]);
    const [parts, empty] = ["parts", "empty"].map((name) =>
      capture.database.tables.find((table) => table.name === name),
    );
    expect(parts).toMatchObject({ rows: "1000", format: "text", schema: "public" });
    expect(empty).toMatchObject({ rows: "0", rowHash: "0".repeat(64), parts: [] });
    expect((await capture.table("parts")).split("\n")[0]).toBe(
      "1\tpart 1\t1.5\t2026-11-03 10:00:00+00",
    );
    expect(capture.database.sequences).toEqual([
      { schema: "public", name: "parts_id_seq", lastValue: "1000", isCalled: true },
    ]);
    expect((await capture.read("database/schema.dump")).subarray(0, 5).toString()).toBe("PGDMP");
    expect(capture.database.server).toMatchObject({
      encoding: "UTF8",
      databaseName: database.name,
    });
  });
});
