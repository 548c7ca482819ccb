import { describe, expect, test } from "vitest";
import { itemsOf } from "../release/items.ts";
import { sortArchive } from "./sort.ts";
import type { ArchiveToc, Section, TocEntry } from "./toc.ts";

let lastId = 0;

function entry(kind: string, tag: string, more: Partial<TocEntry> = {}): TocEntry {
  lastId += 1;
  const section: Section = kind === "TRIGGER" || kind === "RULE" ? "post-data" : "pre-data";
  return {
    dumpId: lastId,
    kind,
    tag,
    schema: "s",
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

const archive = (entries: readonly TocEntry[]): ArchiveToc => ({
  formatVersion: "1.14",
  databaseName: "app",
  serverVersion: "15",
  dumpVersion: "15",
  entries,
});

const body = (name: string, text: string): string =>
  `CREATE FUNCTION s.${name}() RETURNS trigger\n    LANGUAGE plpgsql\n    AS $$BEGIN ${text} END$$;\n`;

const extension = (name: string): TocEntry =>
  entry("EXTENSION", name, {
    schema: undefined,
    definition: `CREATE EXTENSION IF NOT EXISTS ${name} WITH SCHEMA public;\n`,
  });

/** What of a trigger on one function's text becomes. */
function withheldFor(text: string, before: readonly TocEntry[] = []): readonly string[] {
  const table = entry("TABLE", "t");
  const called = entry("FUNCTION", "f()", { definition: body("f", text) });
  const on = [table.dumpId, called.dumpId];
  const trigger = entry("TRIGGER", "t tell", { dependencies: on });
  const toc = archive([...before, table, called, trigger]);
  const { held } = sortArchive(toc);
  return itemsOf(toc, held)
    .filter(({ kind }) => kind === "trigger")
    .map(({ id }) => id);
}

describe("a trigger", () => {
  test.for([
    "PERFORM dblink_exec('x', 'y');",
    'PERFORM public."dblink_send_query" (a, b);',
    "PERFORM DBLINK('x', 'y');",
    "PERFORM net.http_post(url := 'https://x');",
    'PERFORM "net" . "http_get"(\'x\');',
    "PERFORM extensions.http_get('x');",
    "SELECT status FROM http(('GET', 'x')::http_request);",
    "PERFORM cron.schedule('a', '* * * * *', 'x');",
    "PERFORM aws_lambda.invoke('x');",
    "COPY t TO PROGRAM 'curl';",
    "EXECUTE 'copy t to program ''curl''';",
    "EXECUTE format('SELECT dblink_exec(%L)', x);",
  ])("whose function has %s is held back", (text) => {
    expect(withheldFor(text)).toEqual(["trigger s.t tell"]);
  });

  test.for([
    "NEW.http_status = 200;",
    "NEW.network = 1; RETURN NEW;",
    "PERFORM subnet.of(x);",
    "PERFORM pg_notify('x', 'y');",
    "UPDATE s.t SET dblink = 1;",
    "INSERT INTO s.programs VALUES (1); -- copy",
  ])("whose function has %s comes back", (text) => {
    expect(withheldFor(text)).toEqual([]);
  });

  test("is held back where a function calls one that calls out, however far", () => {
    const deep = entry("FUNCTION", "deep()", { definition: body("deep", "PERFORM dblink('x');") });
    const middle = entry("FUNCTION", "my middle(integer)", {
      definition: body("m", 'PERFORM s."deep"();'),
    });
    expect(withheldFor('PERFORM s."my middle" (1);', [deep, middle])).toEqual(["trigger s.t tell"]);
    expect(withheldFor("PERFORM s.other(1);", [deep, middle])).toEqual([]);
  });

  test("is held back where a function writes to a foreign table", () => {
    const server = entry("SERVER", "far", { schema: undefined });
    const table = entry("FOREIGN TABLE", "parts", { dependencies: [server.dumpId] });
    expect(withheldFor("INSERT INTO s.parts VALUES (1);", [server, table])).toEqual([
      "trigger s.t tell",
    ]);
    expect(withheldFor("INSERT INTO s.parts_here VALUES (1);", [server, table])).toEqual([]);
  });

  test("needs the extension that its function calls", () => {
    const dblink = extension("dblink");
    const called = entry("FUNCTION", "f()", { definition: body("f", "PERFORM dblink('x');") });
    const table = entry("TABLE", "a b");
    const trigger = entry("TRIGGER", "a b c", { dependencies: [table.dumpId, called.dumpId] });
    const toc = archive([dblink, called, table, trigger]);
    const sorted = sortArchive(toc);
    expect(itemsOf(toc, sorted.held).map(({ id, needs }) => [id, needs])).toEqual([
      ["extension dblink", []],
      ['trigger s."a b" c', ["extension dblink"]],
    ]);
    // The function itself comes back: it does nothing until somebody calls it.
    expect(sorted.preData).toContain(called);
  });
});

describe("what cannot be built without an extension or a server that is left out", () => {
  test("goes with it, and grants on what the extension brought", () => {
    const cron = extension("pg_cron");
    const dblink = extension("dblink");
    const view = entry("VIEW", "v", { dependencies: [dblink.dumpId] });
    const above = entry("VIEW", "w", { dependencies: [view.dumpId] });
    const comment = entry("COMMENT", "VIEW w", { section: "none", dependencies: [above.dumpId] });
    const member = { section: "none" as const, schema: undefined, dependencies: [999_999] };
    const onCron = entry("ACL", "SCHEMA cron", member);
    const onOther = entry("ACL", "SCHEMA other", member);
    const toc = archive([cron, dblink, view, above, comment, onCron, onOther]);
    const sorted = sortArchive(toc);
    const items = itemsOf(toc, sorted.held);
    expect(items.map(({ id, entries }) => [id, entries.map(({ tag }) => tag)])).toEqual([
      ["extension pg_cron", ["pg_cron", "SCHEMA cron"]],
      ["extension dblink", ["dblink", "v", "w", "VIEW w"]],
    ]);
    expect(sorted.grants).toEqual([onOther]);
    expect(sorted.preData).toEqual([]);
  });

  test("is built where a platform's project has the extension, but what acts on writes is not", () => {
    const dblink = extension("dblink");
    const view = entry("VIEW", "v", { dependencies: [dblink.dumpId] });
    const table = entry("TABLE", "t");
    const rule = entry("RULE", "t r", { dependencies: [table.dumpId, dblink.dumpId] });
    const toc = archive([dblink, view, table, rule]);
    const decide = (one: TocEntry) => (one === dblink ? "there" : "build");
    const { preData, held, withheld } = sortArchive(toc, { decide });
    expect(preData).toEqual([view, table]);
    expect(held.map(({ entry: { tag } }) => tag)).toEqual(["t r"]);
    expect(withheld).toContainEqual({
      object: "EXTENSION s.dblink".replace("s.", ""),
      reason: expect.stringContaining("is there already") as unknown,
    });
  });

  test("leaves tables alone: their rows are more than what reaches out", () => {
    const http = extension("http");
    const table = entry("TABLE", "answers", { dependencies: [http.dumpId] });
    expect(sortArchive(archive([http, table])).preData).toEqual([table]);
  });
});

test("a hostile archive of many long functions is read in one go", () => {
  const count = 20_000;
  const functions = Array.from({ length: count }, (_, index) =>
    entry("FUNCTION", `f${index}()`, {
      definition: body(
        `f${index}`,
        index === 0 ? "PERFORM dblink('x');" : `PERFORM f${index - 1}();`,
      ),
    }),
  );
  const long = entry("FUNCTION", "long()", { definition: body("long", "copy ".repeat(100_000)) });
  const table = entry("TABLE", "t");
  const last = functions.at(-1)?.dumpId ?? 0;
  const trigger = entry("TRIGGER", "t tell", { dependencies: [table.dumpId, last] });
  const { held } = sortArchive(archive([...functions, long, table, trigger]));
  expect(held.map(({ entry: { tag } }) => tag)).toEqual(["t tell"]);
});
