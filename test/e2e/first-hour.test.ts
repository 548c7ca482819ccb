import { spawn } from "node:child_process";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTemporaryFolder } from "../../src/objectstore/testing/index.ts";
import { createCertificates } from "../support/certificates.ts";
import { startManagementApi } from "../support/management-api.ts";
import type { ManagementStandIn } from "../support/management-api.ts";
import { startPgBouncer } from "../support/pgbouncer.ts";
import type { PgBouncer } from "../support/pgbouncer.ts";
import { fillProject, startSupabaseProject } from "../support/supabase/project.ts";
import type { SupabaseProject } from "../support/supabase/project.ts";

/** `docs/guides/first-hour.md`, run line by line. What is not what a reader would have stands in SUBSTITUTIONS. */

const GUIDE = join(import.meta.dirname, "../../docs/guides/first-hour.md");
const MAIN = join(import.meta.dirname, "../../src/main.ts");
const REDIRECT = join(import.meta.dirname, "../support/redirect-hosts.ts");
const REF = "abcdefghijklmnopqrst";
const POOLER = "aws-1-eu-central-1.pooler.supabase.com";

let source: SupabaseProject;
let target: SupabaseProject;
let api: ManagementStandIn;
let bouncer: PgBouncer;
let place: Awaited<ReturnType<typeof createTemporaryFolder>>;
let folder: string;
let env: Record<string, string>;

/** Of a line of the guide: the folder of the backups, and the Management API, are on this machine. */
const SUBSTITUTIONS: readonly [RegExp, () => string][] = [
  [/\/mnt\/backup\b/, () => join(place.path, "backup")],
  [/--token-env SUPABASE_ACCESS_TOKEN\b/, () => `$& --management-api ${api.address}`],
];

beforeAll(async () => {
  place = await createTemporaryFolder();
  folder = join(place.path, "work");
  for (const name of ["work", "home", "bin", "tls"]) await mkdir(join(place.path, name));
  source = await startSupabaseProject();
  target = await startSupabaseProject();
  await fillProject(source);
  api = await startManagementApi(REF);
  api.state.answers["/config/database/pooler"] = [poolerAnswer()];
  const certificates = await createCertificates(join(place.path, "tls"), [`DNS:${POOLER}`]);
  await copyFile(certificates.caFile, join(folder, "prod-ca-2021.crt"));
  const { password } = sourceRole();
  // Supavisor takes postgres.REF for postgres; PgBouncer is told to by a database that names its role.
  bouncer = await startPgBouncer(source.cluster, {
    mode: "session",
    certificates,
    users: [`postgres.${REF}`, "postgres"].map((name) => ({ name, password })),
    role: { name: "postgres", password },
  });
  await writeFile(join(place.path, "bin/sparekeep"), `#!/bin/sh\nexec node ${MAIN} "$@"\n`, {
    mode: 0o755,
  });
  env = {
    HOME: join(place.path, "home"),
    PATH: `${join(place.path, "bin")}${delimiter}${process.env["PATH"] ?? ""}`,
    NODE_OPTIONS: `--import=${REDIRECT}`,
    SPAREKEEP_TEST_HOSTS: JSON.stringify({ [`${POOLER}:5432`]: bouncer.port }),
    SUPABASE_DB_PASSWORD: password,
    SUPABASE_ACCESS_TOKEN: api.token,
    TARGET_URL: target.url,
  };
});
afterAll(async () => {
  for (const one of [bouncer, api, target, source, place]) await one[Symbol.asyncDispose]();
});

function sourceRole(): { readonly password: string } {
  return { password: decodeURIComponent(new URL(source.url).password) };
}

function poolerAnswer(): Record<string, unknown> {
  const url = `postgresql://postgres.${REF}:[YOUR-PASSWORD]@${POOLER}:6543/postgres`;
  return {
    identifier: REF,
    database_type: "PRIMARY",
    is_using_scram_auth: true,
    db_user: `postgres.${REF}`,
    db_host: POOLER,
    db_port: 6543,
    db_name: "postgres",
    connection_string: url,
    connectionString: url,
    default_pool_size: 15,
    max_client_conn: 200,
    pool_mode: "transaction",
  };
}

async function linesOfGuide(): Promise<readonly string[]> {
  const text = await readFile(GUIDE, "utf8");
  const blocks = [...text.matchAll(/```(\w*)\n([\s\S]*?)```/g)];
  expect(blocks.map(([, language]) => language)).toEqual(blocks.map(() => "sh"));
  return blocks.flatMap(([, , block = ""]) => block.trimEnd().split("\n"));
}

interface Ran {
  readonly code: number | null;
  readonly output: string;
}

function run(line: string): Promise<Ran> {
  const child = spawn("sh", ["-c", line], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, output }));
  });
}

/** What each command must have said, by its beginning: a line of the guide without one fails the test. */
const EXPECTED: readonly [string, readonly string[]][] = [
  [`sparekeep init ${REF}`, [`session pooler ${POOLER} works`, "created repository"]],
  ["sparekeep doctor", ["through a pooler in session mode", "may read all of the project's"]],
  ["sparekeep init --role-sql", ['CREATE ROLE "backup_reader"', "For Supabase, PostgreSQL 15"]],
  ["sparekeep backup", ["complete"]],
  ["sparekeep check --read-data", ["clean: 1 snapshot", "all data read and compared"]],
  ["sparekeep snapshots", ["full"]],
  ["sparekeep restore latest --to-env TARGET_URL --dry-run", ["postgres"]],
  ["sparekeep restore latest --to-env TARGET_URL --yes", ["restored"]],
];

test("every command of the guide does what the guide says", async () => {
  const lines = await linesOfGuide();
  expect(lines.map((line) => EXPECTED.find(([start]) => line.startsWith(start))?.[0])).toEqual(
    EXPECTED.map(([start]) => start),
  );
  let written = "";
  for (const [index, line] of lines.entries()) {
    let command = line;
    for (const [from, to] of SUBSTITUTIONS) command = command.replace(from, to());
    const { code, output } = await run(command);
    expect(code, `${line}\n${output}`).toBe(0);
    for (const said of EXPECTED[index]?.[1] ?? []) expect(output).toContain(said);
    if (index === 0) written = await readFile(join(folder, "sparekeep.connection"), "utf8");
    // pg_dump resolves names by itself, and cannot be led here: from now on the address is that of the stand-in.
    if (line === "sparekeep doctor") {
      await writeFile(join(folder, "sparekeep.connection"), source.url, { mode: 0o600 });
    }
  }
  expect(written).toContain(`host='${POOLER}' port='5432' user='postgres.${REF}'`);
  const counts = `SELECT (SELECT count(*) FROM public.orders) AS orders, (SELECT count(*) FROM auth.users) AS users,
    (SELECT md5(string_agg(o::text, '' ORDER BY o::text)) FROM public.orders o) AS hash`;
  expect(await target.query(counts)).toEqual(await source.query(counts));
  expect(await target.query("SELECT count(*)::int AS n FROM public.orders")).toEqual([{ n: 1000 }]);
  expect(api.violations).toEqual([]);
});
