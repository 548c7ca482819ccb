import { spawnSync } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { collectBytes, Secret } from "../../src/kernel/index.ts";
import { backup, checkAuditLog, exportTable, saveExport } from "../../src/operation/index.ts";
import type { ExportOptions } from "../../src/operation/index.ts";
import { connect } from "../../src/postgres/index.ts";
import { createTestDatabase, testPrograms } from "../support/cluster.ts";
import type { TestDatabase } from "../support/cluster.ts";
import { HOSTILE_NAME, HOSTILE_TABLE } from "../support/hostile-table.ts";
import { createOperationBench } from "../support/operation-bench.ts";
import type { OperationBench } from "../support/operation-bench.ts";

const TABLES = [HOSTILE_NAME, "big", "none", "no_columns", "lonely", "attack"];

let source: TestDatabase;
/** The same tables without rows. */
let schema: string;
let bench: OperationBench;

beforeAll(async () => {
  source = await createTestDatabase({ script: HOSTILE_TABLE });
  const dumped = spawnSync(testPrograms().pg_dump, ["--schema-only", `--dbname=${source.url}`]);
  schema = dumped.stdout.toString();
  bench = await createOperationBench(
    source.url,
    "  nightly: { source: db, capture: everything, to: local }",
  );
  expect(await backup(bench.context, { policy: bench.policy })).toMatchObject({
    outcome: "complete",
  });
});

afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await source[Symbol.asyncDispose]();
});

async function exported(table: string, more: Partial<ExportOptions> = {}): Promise<Buffer> {
  const { content } = await exportTable(bench.context, {
    policy: bench.policy,
    tables: [table],
    format: "csv",
    inserts: false,
    ...more,
  });
  // What is given is the taker's: a writer may keep it.
  return Buffer.from(await collectBytes(content));
}

/** COPY text under fixed settings: what two tables are compared by. */
async function rowsOf(database: TestDatabase, table: string): Promise<string> {
  return copied(database, `COPY ${sqlOf(table)} TO STDOUT`);
}

async function copied(database: TestDatabase, sql: string): Promise<string> {
  await using session = await connect({
    url: new Secret(database.url),
    applicationName: "sparekeep test",
    readOnly: true,
  });
  return Buffer.from(await collectBytes(session.copyOut(sql))).toString();
}

function sqlOf(table: string): string {
  return table === HOSTILE_NAME ? table : `public.${table}`;
}

async function emptyTarget(): Promise<TestDatabase> {
  return createTestDatabase({ script: schema });
}

function psql(database: TestDatabase, script: Buffer): { status: number | null; stderr: string } {
  const ran = spawnSync(testPrograms().psql, ["-X", "-q", "-d", database.url], {
    input: script,
    env: { ...process.env, PGOPTIONS: "-c client_min_messages=warning" },
  });
  return { status: ran.status, stderr: ran.stderr.toString() };
}

describe.each(TABLES)("table %s", (table) => {
  test("as CSV loads back", async () => {
    const csv = await exported(table);
    await using target = await emptyTarget();
    const columns = csv.toString().split("\n", 1)[0] ?? "";
    await using session = await connect({
      url: new Secret(target.url),
      applicationName: "sparekeep test",
      readOnly: false,
    });
    const list = columns === "" ? "" : ` (${quotedList(columns)})`;
    await session.copyIn(`COPY ${sqlOf(table)}${list} FROM STDIN (FORMAT csv, HEADER)`, once(csv));
    expect(await rowsOf(target, table)).toBe(await rowsOf(source, table));
  });

  const styles = table === "big" ? [false] : [false, true];
  test.each(styles)("as SQL loads back through psql (INSERT: %s)", async (inserts) => {
    await using target = await emptyTarget();
    expect(psql(target, await exported(table, { format: "sql", inserts }))).toEqual({
      status: 0,
      stderr: "",
    });
    expect(await rowsOf(target, table)).toBe(await rowsOf(source, table));
  });

  test("as JSON lines is valid, and loads back by json_populate_record", async () => {
    const lines = (await exported(table, { format: "jsonl" })).toString().split("\n");
    expect(lines.pop()).toBe("");
    for (const line of lines) JSON.parse(line);
    if (table === "no_columns") return;
    await using target = await emptyTarget();
    const columns = await columnsOf(target, table);
    const list = columns.map(quoted).join(", ");
    for (let at = 0; at < lines.length; at += 50_000) {
      await target.query(
        `INSERT INTO ${sqlOf(table)} (${list}) OVERRIDING SYSTEM VALUE
           SELECT ${columns.map((name) => `(rec).${quoted(name)}`).join(", ")}
             FROM unnest($1::text[]) WITH ORDINALITY AS u(line, n),
                  LATERAL json_populate_record(NULL::${sqlOf(table)}, line::json) AS rec ORDER BY n`,
        { values: [lines.slice(at, at + 50_000)] },
      );
    }
    // JSON's null is SQL's to json_populate_record, whatever the column: the one value that it cannot bring.
    // And a json value stands on one line: a line end between its tokens is a space.
    const asJson = (text: string): string =>
      table === HOSTILE_NAME
        ? text
            .replaceAll("\tnull\tnull\t", "\t\\N\t\\N\t")
            .replace(String.raw`{"a":\n  1,`, '{"a":   1,')
        : text;
    expect(await rowsOf(target, table)).toBe(asJson(await rowsOf(source, table)));
  });
});

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

async function columnsOf(database: TestDatabase, table: string): Promise<string[]> {
  const rows = await database.query<{ name: string }>(
    `SELECT attname AS name FROM pg_attribute
      WHERE attrelid = '${sqlOf(table).replaceAll("'", "''")}'::regclass AND attnum > 0 AND attgenerated = '' ORDER BY attnum`,
  );
  return rows.map(({ name }) => name);
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A CSV header quotes as SQL does, where it quotes. */
function quotedList(header: string): string {
  return [...header.matchAll(/"(?:[^"]|"")*"|[^,]+/g)]
    .map(([name]) => (name.startsWith('"') ? name : quoted(name)))
    .join(", ");
}

/** But for values above 64 KiB, which are quoted without need. */
test.each(TABLES.slice(1))(
  "table %s as CSV is byte for byte what PostgreSQL writes",
  async (table) => {
    const own = await copied(source, `COPY ${sqlOf(table)} TO STDOUT (FORMAT csv, HEADER)`);
    expect((await exported(table)).equals(Buffer.from(own))).toBe(true);
  },
);

describe("what an export holds", () => {
  test("rows that are SQL are not run where their COPY is refused", async () => {
    await using target = await createTestDatabase();
    const ran = psql(target, await exported("attack", { format: "sql" }));
    expect(ran.status).toBe(3);
    expect(ran.stderr).toContain('relation "public.attack" does not exist');
    const made = await target.query("SELECT relname FROM pg_class WHERE relname ~ '^pwned'");
    expect(made).toEqual([]);
  });

  test("SQL that was cut off loads nothing", async () => {
    await using target = await emptyTarget();
    const sql = await exported("big", { format: "sql" });
    psql(target, sql.subarray(0, sql.byteLength / 2));
    expect(await target.query("SELECT count(*)::int AS n FROM big")).toEqual([{ n: 0 }]);
  });

  test("chosen columns alone", async () => {
    const csv = await exported("big", { columns: ["h", "i"] });
    expect(csv.toString()).toBe(
      await copied(source, "COPY public.big (i, h) TO STDOUT (FORMAT csv, HEADER)"),
    );
  });

  test("a folder: a file each under safe names, never over an existing one", async () => {
    const folder = join(bench.folder, "out");
    const options = {
      policy: bench.policy,
      plan: "nightly",
      tables: ["none", HOSTILE_NAME, "public.none"],
      format: "csv",
      inserts: false,
    } as const;
    const saved = await saveExport(bench.context, options, folder);
    expect(saved.tables.map(({ table, rows }) => [table, rows])).toEqual([
      ["public.none", "0"],
      ['"Sales.One"."Odd ""t"", x"', "5"],
    ]);
    expect(await readFile(join(folder, "public/none.csv"), "utf8")).toBe("a,b\n");
    expect((await readdir(folder, { recursive: true })).toSorted()).toEqual([
      "Sales.One",
      'Sales.One/Odd "t", x.csv',
      "public",
      "public/none.csv",
    ]);
    await expect(saveExport(bench.context, options, folder)).rejects.toMatchObject({
      code: "operation.file_exists",
    });
    const log = await readFile(join(bench.folder, "state/shop/audit.jsonl"), "utf8");
    expect(log.trimEnd().split("\n").at(-1)).toContain('"action":"export"');
    expect(await checkAuditLog(join(bench.folder, "state/shop"))).toMatchObject({ findings: [] });
  });

  test.each([
    [{ tables: ["nonee"] }, "operation.table_not_in_snapshot", "Write public.none."],
    [{ tables: ["a.b.c"] }, "operation.export_option", /double quotes/],
    [{ tables: [] }, "operation.export_option", "Name one with --table."],
    [{ tables: ["none"], columns: ["c"] }, "operation.export_option", /Write a|Choose from/],
    [{ tables: ["none"], plan: "weekly" }, "operation.no_point_of_plan", /snapshots/],
    [{ tables: ["none"], inserts: true }, "operation.export_option", "Add --format sql."],
  ])("%j is refused", async (more, code, hint) => {
    await expect(exported("none", more)).rejects.toMatchObject({
      code,
      hint: expect.stringMatching(hint),
    });
  });
});
