import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { failOnLeakedSessions } from "../support/cluster.ts";
import { changesBetween, takeSourceImage } from "../support/source-image.ts";
import type { SourceImage } from "../support/source-image.ts";
import { createSupabaseBench } from "../support/supabase-bench.ts";
import type { SupabaseBench } from "../support/supabase-bench.ts";
import { fillProject, startSupabaseProject } from "../support/supabase/project.ts";
import type { SupabaseProject } from "../support/supabase/project.ts";

/** A month of everything that is done to a source, compressed; `docs/source-writes.md` says what of it writes: nothing. */

const DAYS = 30;
/** Some 120 runs of the program: three minutes, and a machine may be slow. */
const MONTH_MS = 3_600_000;
const DATABASE = "postgres";

/** pg_dump locks what the platform keeps to itself, too, which `postgres` may not. */
const READER = { name: "reader", password: "secret" };
const OURS = /^(?:postgres|reader)\|/;

let project: SupabaseProject;
let bench: SupabaseBench;

beforeAll(async () => {
  project = await startSupabaseProject();
  await fillProject(project);
  await project.psql(`
    SET SESSION AUTHORIZATION postgres;
    CREATE TABLE public.month (day int PRIMARY KEY, note text);
    SELECT lo_from_bytea(4711, 'large');
    RESET SESSION AUTHORIZATION;
    CREATE ROLE ${READER.name} LOGIN PASSWORD '${READER.password}' BYPASSRLS IN ROLE pg_read_all_data;
    GRANT SELECT ON LARGE OBJECT 4711 TO ${READER.name};
    ALTER SYSTEM SET log_connections = on;
    ALTER SYSTEM SET log_statement = 'mod';
    ALTER SYSTEM SET log_line_prefix = '%u|%a|';
    SELECT pg_reload_conf();`);
  bench = await createSupabaseBench(project.url);
  await bench.policy("", policyOf);
  await bench.init();
}, 120_000);

afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await project[Symbol.asyncDispose]();
});

function policyOf(text: string): string {
  return text
    .replace(
      "sources: { database: ",
      "sources:\n  slow: { kind: postgres, connection: { env: DB_URL }, limits: { read: 1 kB/s } }\n  whole: { kind: postgres, connection: { env: READER_URL } }\n  database: ",
    )
    .replace(/(management_api: "[^"]*" \}) \}/, "$1")
    .replace(
      /destinations: .*/,
      [
        "destinations:",
        "  local: { url: ./repo, password: { env: REPOSITORY_PASSWORD } }",
        "  second: { url: ./second, password: { env: REPOSITORY_PASSWORD } }",
        "  dumps: { url: ./dumps, files: true }",
        "provider: { database: { expect: { one_of: [pitr, daily_backup] } } }",
      ].join("\n"),
    )
    .replace(
      /plans: .*/,
      [
        "plans:",
        "  nightly: { source: database, capture: everything, to: local, keep: { last: 5 } }",
        "  tables: { source: database, capture: { tables: [orders, month], formats: [csv, json] }, to: local, keep: { last: 2 } }",
        "  definitions: { source: database, capture: schema, to: local, keep: { last: 2 } }",
        '  portable: { source: whole, capture: pg_dump, encrypt: { passphrase: { env: REPOSITORY_PASSWORD } }, to: dumps, name: "shop_{date}_{time}.dump.gpg" }',
        "  crawling: { source: slow, capture: everything, to: second }",
      ].join("\n"),
    );
}

/** Exit code 0, or what the table says. */
async function run(arguments_: readonly string[], allowed: readonly number[] = [0]): Promise<void> {
  const { code, stdout, stderr } = await bench.cli.run([...arguments_, "--quiet"], {
    env: { READER_URL: project.cluster.url(DATABASE, READER) },
  });
  if (code === null || !allowed.includes(code)) {
    throw new Error(
      `${arguments_.join(" ")} ended with ${code}: ${stdout.slice(-2000)}${stderr.slice(-2000)}`,
    );
  }
}

/** Begun, and killed while it reads. */
async function interrupted(): Promise<void> {
  const running = bench.cli.start(["backup", "crawling", "--quiet"]);
  const reading = `SELECT pid FROM pg_stat_activity WHERE application_name = 'sparekeep copy'`;
  await expect
    .poll(() => project.cluster.query(reading), { timeout: 120_000, interval: 100 })
    .not.toHaveLength(0);
  running.child.kill("SIGKILL");
  await running.ended;
  // Nothing of it stays, neither sessions nor what they held.
  await failOnLeakedSessions(project.cluster);
}

async function day(number: number): Promise<void> {
  await project.cluster.query(`INSERT INTO public.month VALUES (${number}, 'day ${number}')`, {
    database: DATABASE,
  });
  await run(["backup", "nightly"]);
  if (number % 10 === 1) {
    await run(["doctor"], [0, 1]);
    await run(["estimate"]);
    await run(["backup", "definitions"]);
    await run(["guard", "--plan", "definitions", "true"]);
    await interrupted();
  }
  if (number % 10 === 5) {
    await run(["backup", "tables"]);
    await run(["backup", "portable"]);
    await run([
      "export",
      "--plan",
      "nightly",
      "-d",
      "local",
      "-t",
      "month",
      "-o",
      `export-${number}`,
    ]);
    await run(["provider"], [0, 21]);
    await run(["project", "diff", "-d", "local"], [0, 1]);
  }
  if (number % 10 === 0) {
    await run(["check", "-d", "local"]);
    await run(["snapshots", "-d", "local"]);
    await run(["forget", "-d", "local", "--yes"], [0, 3]);
    await run(["prune", "-d", "local", "--grace", "0s", "--yes"], [0]);
    await run(["copies"], [0, 1, 21]);
  }
}

async function image(): Promise<SourceImage> {
  await failOnLeakedSessions(project.cluster);
  return takeSourceImage(project.cluster, DATABASE);
}

/** What the server's log says of sessions of the role that we use: nobody else does. */
async function logOf(from: number): Promise<string[]> {
  const log = await readFile(join(project.cluster.folder, "log"), "utf8");
  return log.slice(from).split("\n");
}

async function logLength(): Promise<number> {
  return (await readFile(join(project.cluster.folder, "log"), "utf8")).length;
}

test("a month of everything leaves the source as it was", { timeout: MONTH_MS }, async () => {
  const before = await image();
  const from = await logLength();
  for (let number = 1; number <= DAYS; number += 1) await day(number);
  const lines = await logOf(from);
  const rows = await project.cluster.query("DELETE FROM public.month RETURNING day", {
    database: DATABASE,
  });
  // The application's own doing, to the row: what the server counts of writes, and nothing else in the world.
  expect(rows).toHaveLength(DAYS);
  expect(changesBetween(before, await image())).toEqual([
    `rows written public.month: inserted 0, updated 0, deleted 0 -> inserted ${DAYS}, updated 0, deleted ${DAYS}`,
  ]);

  const sessions = lines.filter(
    (line) => OURS.test(line) && line.includes("connection authorized:"),
  );
  const names = sessions.map(
    (line) => /application_name=(.*)$/.exec(line)?.[1] ?? "without a name",
  );
  expect(names.length).toBeGreaterThan(DAYS * 6);
  const known = new Set(names.map((name) => name.replaceAll(/\d+/g, "N")));
  expect([...known].filter((name) => !/^sparekeep [a-z]/.test(name))).toEqual([]);
  // They were all there: a month in which nothing happened would leave nothing behind either.
  expect([...known]).toEqual(
    expect.arrayContaining([
      "sparekeep backup",
      "sparekeep catalog",
      "sparekeep control",
      "sparekeep copy",
      "sparekeep count",
      "sparekeep doctor",
      "sparekeep dump",
      "sparekeep large objects",
      "sparekeep last write",
      "sparekeep pg_dump for N",
      "sparekeep snapshot",
      "sparekeep watch",
    ]),
  );
  // No statement that writes or defines was so much as tried.
  expect(
    lines.filter((line) => OURS.test(line) && / (statement|execute [^:]*): /.test(line)),
  ).toEqual([]);
});

describe("the comparison bites", () => {
  const PLANTED = [
    [
      "a row that was written and taken back",
      "INSERT INTO public.month VALUES (1); DELETE FROM public.month",
      "rows written public.month",
    ],
    [
      "an update that changes nothing",
      "UPDATE public.orders SET note = note WHERE total = 1",
      "rows written public.orders",
    ],
    ["a table", "CREATE TABLE public.planted ()", "object planted"],
    [
      "a table that was made again",
      "DROP TABLE public.month; CREATE TABLE public.month (day int PRIMARY KEY, note text)",
      "object month",
    ],
    ["a comment", "COMMENT ON TABLE public.orders IS 'planted'", "comment "],
    ["a right", "GRANT SELECT ON public.orders TO PUBLIC", "orders: "],
    ["a role", "CREATE ROLE planted", "role planted"],
    [
      "a setting of a role",
      "ALTER ROLE postgres SET work_mem = '5MB'",
      "setting of roles and databases",
    ],
    [
      "a function",
      "CREATE FUNCTION public.planted() RETURNS int LANGUAGE sql AS 'SELECT 1'",
      "function planted()",
    ],
    ["a publication", "CREATE PUBLICATION planted", "publication planted"],
    ["a slot", "SELECT pg_create_logical_replication_slot('planted', 'pgoutput')", "slot planted"],
    ["a large object", "SELECT lo_create(0)", "large object "],
    ["a sequence that was asked", "SELECT nextval('auth.refresh_tokens_id_seq')", "sequence"],
  ] as const;

  test.for(PLANTED)("%s", async ([, sql, shown]) => {
    const before = await takeSourceImage(project.cluster, DATABASE);
    expect(changesBetween(before, await takeSourceImage(project.cluster, DATABASE))).toEqual([]);
    await project.psql(sql);
    const changes = changesBetween(before, await takeSourceImage(project.cluster, DATABASE));
    expect(changes.some((line) => line.includes(shown))).toBe(true);
  });

  test("a session, and what it holds", async () => {
    const before = await takeSourceImage(project.cluster, DATABASE);
    const client = new Client({
      connectionString: project.cluster.url(DATABASE),
      application_name: "sparekeep planted",
    });
    await client.connect();
    await client.query(
      "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_advisory_lock(7); SELECT pg_export_snapshot()",
    );
    const held = changesBetween(before, await takeSourceImage(project.cluster, DATABASE));
    await client.end();
    expect(held.map((line) => line.replace(/ \S+: .*/, ""))).toEqual(
      expect.arrayContaining([
        "advisory lock 0 7",
        "exported snapshot",
        "session of ours sparekeep planted",
      ]),
    );
  });
});
