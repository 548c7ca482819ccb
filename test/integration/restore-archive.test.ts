import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { parseArchiveToc } from "../../src/restore/index.ts";
import { createTestDatabase, testPrograms } from "../support/cluster.ts";

const SCRIPT = `
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE SCHEMA "Odd ""schema""";
CREATE TABLE "Odd ""schema"""."ta
ble" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, m mood DEFAULT 'ok', twice bigint GENERATED ALWAYS AS (1) STORED);
CREATE TABLE parts (id serial PRIMARY KEY, name text, odd bigint REFERENCES "Odd ""schema"""."ta
ble");
CREATE INDEX ON parts (lower(name));
CREATE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE VIEW v AS SELECT * FROM parts;
CREATE MATERIALIZED VIEW mv AS SELECT count(*) FROM parts;
COMMENT ON TABLE parts IS 'with; semicolon
and line';
ALTER TABLE parts ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON parts USING (true);
GRANT SELECT ON parts TO PUBLIC;
`;

describe("the archive's table of contents", () => {
  test("holds the entries that pg_restore lists, in its order", async () => {
    await using database = await createTestDatabase({ script: SCRIPT });
    const programs = testPrograms();
    const archive = execFileSync(programs.pg_dump, [
      "--format=custom",
      "--schema-only",
      `--dbname=${database.url}`,
    ]);
    const listed = execFileSync(programs.pg_restore, ["--list"], { input: archive })
      .toString()
      .split("\n")
      .filter((line) => /^\d/.test(line));
    const toc = parseArchiveToc(archive);
    // pg_restore lists no head entries and, without --create, no database.
    const ours = toc.entries
      .filter((entry) => !["ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE"].includes(entry.kind))
      .map((entry) => `${entry.dumpId}; ${entry.catalogOid} ${entry.oid} ${entry.kind} `);
    expect(ours).toHaveLength(listed.length);
    listed.forEach((line, index) => expect(line.startsWith(ours[index] ?? "?")).toBe(true));
    expect(toc.databaseName).toBe(database.name);
    const policy = toc.entries.find((entry) => entry.kind === "POLICY");
    expect(policy?.definition).toContain("CREATE POLICY p ON public.parts");
    expect(policy?.section).toBe("post-data");
    const table = toc.entries.find((entry) => entry.kind === "TABLE" && entry.tag === "ta\nble");
    expect(table?.schema).toBe('Odd "schema"');
    expect(table?.owner).toBe(database.cluster.superuser);
  });

  test("is damaged, never anything else, when the archive is cut anywhere in it", async () => {
    await using database = await createTestDatabase({ script: SCRIPT });
    const archive = execFileSync(testPrograms().pg_dump, ["-Fc", "-s", `-d${database.url}`]);
    for (let size = 0; size < archive.length; size += 97) {
      expect(() => parseArchiveToc(archive.subarray(0, size))).toThrow(
        expect.objectContaining({ code: "restore.archive_damaged" }),
      );
    }
  });
});
