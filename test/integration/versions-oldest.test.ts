import { expect, test } from "vitest";
import { oddCatalog } from "../support/odd-catalog/index.ts";
import { differencesOf, roundTrip, startVersion } from "../support/versions.ts";

/** The oldest two that are supported, on every run; the others by `npm run test:versions`. */
test.for([
  [13, 13],
  [13, 15],
  [14, 14],
])(
  "a database of odd objects comes back from PostgreSQL %i into %i",
  async ([from = 0, into = 0]) => {
    await using source = await startVersion(from);
    await source.createDatabase("odd");
    await source.psql(oddCatalog(), "odd");
    const { result, oracle } = await roundTrip(source, from, into);
    expect(result.issues).toEqual([]);
    expect(result.catalog).toMatchObject({ compared: true, counts: { ours: 0 } });
    if (from !== into) return;
    expect(differencesOf(result)).toEqual([]);
    expect(oracle).toEqual([]);
  },
);

test("a value that PostgreSQL 13 sends and no server reads is named, and the other tables come back", async () => {
  await using source = await startVersion(13);
  await source.createDatabase("odd");
  await source.psql(
    `CREATE TABLE odd (c "char"); INSERT INTO odd VALUES ('é'); CREATE TABLE well AS SELECT 1 AS a;`,
    "odd",
  );
  const { result } = await roundTrip(source, 13, 13);
  expect(result.issues.map(({ code, object }) => `${code} ${object}`)).toEqual([
    "table_failed TABLE public.odd",
    "count_differs TABLE public.odd",
  ]);
  expect(result.verified).toEqual({ tables: 1, rows: 1n });
});
