import { describe, expect, test } from "vitest";
import { extensionOf, sortArchive } from "./sort.ts";
import type { Section, TocEntry } from "./toc.ts";

let lastId = 0;

function entry(kind: string, section: Section, more: Partial<TocEntry> = {}): TocEntry {
  lastId += 1;
  return {
    dumpId: lastId,
    kind,
    tag: "it",
    schema: undefined,
    section,
    definition: "",
    owner: "app",
    tablespace: undefined,
    accessMethod: undefined,
    catalogOid: 0,
    oid: 0,
    dependencies: [],
    ...more,
  };
}

const sort = (entries: readonly TocEntry[]) =>
  sortArchive({
    formatVersion: "1.14",
    databaseName: "app",
    serverVersion: "15",
    dumpVersion: "15",
    entries,
  });

describe("the entries of an archive", () => {
  test.for(["EVENT TRIGGER", "PUBLICATION", "SUBSCRIPTION", "USER MAPPING", "PROCEDURAL LANGUAGE"])(
    "leave out a %s, with its comment",
    (kind) => {
      const withheld = entry(kind, "post-data");
      const comment = entry("COMMENT", "none", { dependencies: [withheld.dumpId] });
      const sorted = sort([withheld, comment]);
      expect(sorted.preData).toEqual([]);
      expect(sorted.postData).toEqual([]);
      expect(sorted.withheld.map(({ object }) => object)).toEqual([`${kind} it`]);
    },
  );

  test("put a comment where its object is", () => {
    const table = entry("TABLE", "pre-data");
    const onTable = entry("COMMENT", "none", { dependencies: [table.dumpId] });
    const index = entry("INDEX", "post-data", { dependencies: [table.dumpId] });
    const onIndex = entry("COMMENT", "none", { dependencies: [index.dumpId] });
    const sorted = sort([table, onTable, index, onIndex]);
    expect(sorted.preData).toEqual([table, onTable]);
    expect(sorted.postData).toEqual([index, onIndex]);
  });

  test("keep grants for after the owners, and rows and the database out", () => {
    const grant = entry("ACL", "none");
    const defaults = entry("DEFAULT ACL", "post-data");
    const rows = entry("TABLE DATA", "data");
    const database = entry("DATABASE", "pre-data");
    const about = entry("COMMENT", "none", { tag: "DATABASE app" });
    const sorted = sort([grant, defaults, rows, database, about]);
    expect(sorted.grants).toEqual([grant, defaults]);
    expect([...sorted.preData, ...sorted.postData, ...sorted.withheld]).toEqual([]);
  });

  test("leave out extensions that act by themselves", () => {
    const definition = "CREATE EXTENSION IF NOT EXISTS pg_cron WITH SCHEMA pg_catalog;\n";
    const sorted = sort([entry("EXTENSION", "pre-data", { tag: "pg_cron", definition })]);
    expect(sorted.withheld).toHaveLength(1);
    expect(sorted.preData).toEqual([]);
  });
});

describe("an extension's definition", () => {
  const read = (definition: string) => extensionOf(entry("EXTENSION", "pre-data", { definition }));

  test("is read as pg_dump writes it", () => {
    expect(read('CREATE EXTENSION IF NOT EXISTS "uuid-ossp" WITH SCHEMA "My Schema";\n')).toEqual({
      name: "uuid-ossp",
      schema: "My Schema",
    });
    expect(read("CREATE EXTENSION IF NOT EXISTS citext;")).toEqual({
      name: "citext",
      schema: undefined,
    });
  });

  test.for([
    "CREATE EXTENSION IF NOT EXISTS citext; SELECT evil();",
    "CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA a CASCADE;",
    "CREATE EXTENSION citext;",
    "SELECT 1",
    "",
  ])("is not understood otherwise: %s", (definition) => {
    expect(read(definition)).toBeUndefined();
  });
});
