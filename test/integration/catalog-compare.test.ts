import { describe, expect, test } from "vitest";
import { planRestore } from "../../src/restore/index.ts";
import type { RestoreResult } from "../../src/restore/index.ts";
import { createTestDatabase, startCluster } from "../support/cluster.ts";
import { captureForRestore, restoreOptions } from "../support/restore.ts";
import type { Made } from "../support/restore.ts";

const FACTS = "database/catalog.facts";

/** As if the source had been so: what is restored is not what was captured. */
function withFacts(made: Made, change: (text: string) => string): Made {
  const before = made.files.files.get(FACTS)?.toString() ?? "";
  const text = change(before);
  expect(text).not.toBe(before);
  const { sizeBytes, sha256 } = made.files.put(FACTS, Buffer.from(text));
  const { database } = made.manifest;
  const catalog = { path: FACTS, sizeBytes, sha256 };
  return { ...made, manifest: { ...made.manifest, database: { ...database, catalog } } };
}

async function restored(made: Made): Promise<RestoreResult> {
  await using target = await startCluster();
  const result = await (await planRestore(restoreOptions(made, target.url("back")))).execute();
  return result;
}

function of(result: RestoreResult, which: string): string[] {
  return result.catalog.differences
    .filter((one) => one.class === which && !/ boot_/.test(one.object))
    .map(({ object, message }) => `${object} ${message}`)
    .toSorted();
}

describe("the catalog that was captured against the one that stands", () => {
  test("a difference of ours makes the restore incomplete, by name", async () => {
    await using source = await createTestDatabase({
      script: "CREATE TABLE t (a int DEFAULT 1, b int); CREATE INDEX i ON t (a);",
    });
    const made = withFacts(await captureForRestore(source.url), (text) =>
      text
        .replace("t a\tdefault\t1\n", "t a\tdefault\t2\n")
        .replace(/index\tpublic\tpublic\.i\t/g, "index\tpublic\tpublic.h\t"),
    );
    const result = await restored(made);
    expect(result.outcome).toBe("incomplete");
    expect(
      result.issues.map(({ code, object, message }) => `${code}: ${object} ${message}`),
    ).toEqual([
      'catalog_differs: column public.t a default: "2" became "1"',
      "catalog_differs: index public.h is missing",
      "catalog_differs: index public.i is there, and was not",
    ]);
    expect(result.catalog.counts.ours).toBe(3);
  });

  test("thousands of differences are counted, and the first ones named", async () => {
    await using source = await createTestDatabase({
      script: `SELECT format('CREATE TABLE t_%s (a int, b int)', i) FROM generate_series(1, 150) AS i \\gexec`,
    });
    const made = withFacts(await captureForRestore(source.url), (text) =>
      text.replaceAll("\ttype\tinteger\n", "\ttype\tbigint\n"),
    );
    const result = await restored(made);
    expect(result.catalog.counts.ours).toBe(300);
    expect(result.issues).toHaveLength(201);
    expect(result.issues.at(-1)?.message).toBe("100 more differences of the catalog");
  });

  test("what was left out on purpose is withheld, and the restore complete", async () => {
    await using source = await createTestDatabase({
      script: `CREATE TABLE t (a int PRIMARY KEY); CREATE PUBLICATION "Pub" FOR TABLE t; COMMENT ON PUBLICATION "Pub" IS 'x';
        CREATE FUNCTION evt() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
        CREATE EVENT TRIGGER evt ON ddl_command_end EXECUTE FUNCTION evt();
        CREATE SCHEMA net; CREATE FUNCTION net.call() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER "Web hook" AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION net.call();`,
    });
    const result = await restored(await captureForRestore(source.url));
    expect(result.outcome).toBe("complete");
    expect(of(result, "withheld")).toEqual([
      'comment publication "Pub" is missing',
      "event trigger evt is missing",
      'publication "Pub" is missing',
      'trigger public.t "Web hook" is missing',
    ]);
  });

  test("the trap: the server words a check otherwise when it reads it back; it is equivalent", async () => {
    await using source = await createTestDatabase({
      script: "CREATE TABLE t (v varchar(9), CONSTRAINT c CHECK (v IN ('x (y)', 'z')))",
    });
    const result = await restored(await captureForRestore(source.url));
    expect(result.outcome).toBe("complete");
    expect(of(result, "equivalent")).toEqual([
      expect.stringMatching(/^constraint public\.t c definition: /),
    ]);
  });

  test("rights given by somebody else are equivalent where every role may do the same", async () => {
    await using source = await createTestDatabase({
      script: `CREATE ROLE compare_owner; CREATE ROLE compare_reader; GRANT CREATE ON SCHEMA public TO compare_owner;
        SET ROLE compare_owner; CREATE TABLE t (a int); GRANT SELECT ON t TO compare_reader;`,
    });
    const captured = await captureForRestore(source.url);
    const other = withFacts(captured, (text) =>
      text.replace("compare_reader SELECT\tby compare_owner", "compare_reader SELECT\tby another"),
    );
    const equal = await restored(other);
    expect(equal.outcome).toBe("complete");
    expect(of(equal, "equivalent")).toEqual([
      'rights on table public.t compare_reader SELECT: "by another" became "by compare_owner"',
    ]);
    const more = withFacts(captured, (text) =>
      text
        .replace("compare_reader SELECT\tby another", "compare_reader UPDATE\tby compare_owner")
        .replace(/(table\tpublic\tpublic\.t\teffective\t.*compare_reader) SELECT/, "$1 UPDATE"),
    );
    const unequal = await restored(more);
    expect(unequal.outcome).toBe("incomplete");
    expect(of(unequal, "ours")).toEqual([
      'rights on table public.t compare_reader SELECT: none became "by compare_owner"',
      'rights on table public.t compare_reader UPDATE: "by compare_owner" became none',
    ]);
  });

  test("a point without facts is restored, and said not to have been compared", async () => {
    await using source = await createTestDatabase({ script: "CREATE TABLE t (a int)" });
    const made = await captureForRestore(source.url);
    const { catalog: _, ...database } = made.manifest.database;
    const result = await restored({ ...made, manifest: { ...made.manifest, database } });
    expect(result.outcome).toBe("complete");
    expect(result.catalog).toMatchObject({
      compared: false,
      reason: "the point holds no catalog facts",
    });
  });

  test("facts that are damaged are an issue, and no comparison", async () => {
    await using source = await createTestDatabase({ script: "CREATE TABLE t (a int)" });
    const made = withFacts(await captureForRestore(source.url), (text) => text.slice(0, -5));
    const result = await restored(made);
    expect(result.outcome).toBe("incomplete");
    expect(result.issues).toMatchObject([{ code: "catalog_not_compared" }]);
    expect(result.catalog.compared).toBe(false);
  });
});
