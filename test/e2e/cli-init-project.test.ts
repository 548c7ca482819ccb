import { readFile, stat, writeFile } from "node:fs/promises";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createCertificates } from "../support/certificates.ts";
import type { Certificates } from "../support/certificates.ts";
import { createCliBench } from "../support/cli.ts";
import type { CliBench } from "../support/cli.ts";
import { startCluster } from "../support/cluster.ts";
import type { Cluster } from "../support/cluster.ts";
import { startManagementApi } from "../support/management-api.ts";
import { startPgBouncer } from "../support/pgbouncer.ts";
import type { PgBouncer } from "../support/pgbouncer.ts";

const REF = "abcdefghijklmnopqrst";
const POOLER = "aws-1-eu-central-1.pooler.supabase.com";
const DIRECT = `db.${REF}.supabase.co`;
const PASSWORD = "of the database";

let cluster: Cluster;
let folder: string;
let certificates: Certificates;
let session: PgBouncer;
let transaction: PgBouncer;
let bench: CliBench;

/** Two poolers with the certificate of Supabase's names before one server: the second one lies about its mode. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sparekeep-init-"));
  certificates = await createCertificates(folder, [`DNS:${POOLER}`, `DNS:${DIRECT}`]);
  cluster = await startCluster();
  const users = ["postgres", `postgres.${REF}`].map((name) => ({ name, password: PASSWORD }));
  for (const { name } of users)
    await cluster.psql(`CREATE ROLE "${name}" LOGIN PASSWORD '${PASSWORD}'`, "postgres");
  const tls = { users, certificates };
  session = await startPgBouncer(cluster, { mode: "session", ...tls });
  transaction = await startPgBouncer(cluster, { mode: "transaction", ...tls });
});
afterAll(async () => {
  await session[Symbol.asyncDispose]();
  await transaction[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});
beforeEach(async () => {
  bench = await createCliBench({
    NODE_OPTIONS: `--import=${join(import.meta.dirname, "../support/redirect-hosts.ts")}`,
    DATABASE_PASSWORD: PASSWORD,
  });
  return () => bench[Symbol.asyncDispose]();
});

interface Network {
  readonly direct?: number;
  readonly pooler?: number;
}

function hosts({ direct = 0, pooler = 0 }: Network): Record<string, string> {
  const map = { [`${DIRECT}:5432`]: direct, [`${POOLER}:5432`]: pooler };
  return { SPAREKEEP_TEST_HOSTS: JSON.stringify(map) };
}

const WITH_PASSWORD = ["--database-password-env", "DATABASE_PASSWORD", "--to", "repo"];
const rooted = (): string[] => ["--root-certificate", certificates.caFile];

test.for([
  REF,
  `https://${REF}.supabase.co`,
  `https://supabase.com/dashboard/project/${REF}/settings`,
])("%s: the direct address works, and is written", async (project) => {
  const result = await bench.run(["init", project, ...WITH_PASSWORD, ...rooted()], {
    env: hosts({ direct: session.port }),
  });
  expect(result).toMatchObject({ code: 0, stderr: "" });
  expect(result.stdout).toContain(`direct ${DIRECT} works`);
  const policy = await readFile(bench.path("sparekeep.yaml"), "utf8");
  expect(policy).toContain(`kind: supabase\n    project: ${REF}\n`);
  expect(policy).not.toContain(PASSWORD);
  const connection = await readFile(bench.path("sparekeep.connection"), "utf8");
  expect(connection).toContain(`host='${DIRECT}' port='5432' user='postgres'`);
  expect(connection).toContain(`sslmode='verify-full' sslrootcert='${certificates.caFile}'`);
  expect((await stat(bench.path("sparekeep.connection"))).mode & 0o777).toBe(0o600);
});

test("without IPv6 the session pooler that the Management API names is taken, and its cost is said", async () => {
  await using api = await startManagementApi(REF);
  api.state.answers["/config/database/pooler"] = [poolerAnswer()];
  const result = await bench.run(
    [
      "init",
      REF,
      ...WITH_PASSWORD,
      ...rooted(),
      "--token-env",
      "TOKEN",
      "--management-api",
      api.address,
    ],
    { env: { ...hosts({ pooler: session.port }), TOKEN: api.token } },
  );
  expect(result).toMatchObject({ code: 0, stderr: "" });
  expect(result.stdout).toMatch(
    new RegExp(
      `direct ${DIRECT} does not: .*\n.*session pooler ${POOLER} works: an exported snapshot holds`,
    ),
  );
  expect(result.stdout).toContain("the achieved RPO is the time between two backups");
  const policy = await readFile(bench.path("sparekeep.yaml"), "utf8");
  expect(policy).toContain("# Until then the achieved RPO is the time between two backups.");
  expect(policy).toContain('management_token: {"env":"TOKEN"}');
  const connection = await readFile(bench.path("sparekeep.connection"), "utf8");
  expect(connection).toContain(`host='${POOLER}' port='5432' user='postgres.${REF}'`);
  expect(api.violations).toEqual([]);
  const checked = await bench.run(["doctor"], {
    env: { ...hosts({ pooler: session.port }), TOKEN: api.token },
  });
  expect(checked.stdout).toContain("through a pooler in session mode");
});

function poolerAnswer(): Record<string, unknown> {
  return {
    identifier: REF,
    database_type: "PRIMARY",
    is_using_scram_auth: true,
    db_user: `postgres.${REF}`,
    db_host: POOLER,
    db_port: 6543,
    db_name: "postgres",
    connection_string: `postgresql://postgres.${REF}:[YOUR-PASSWORD]@${POOLER}:6543/postgres`,
    connectionString: `postgresql://postgres.${REF}:[YOUR-PASSWORD]@${POOLER}:6543/postgres`,
    default_pool_size: 15,
    max_client_conn: 200,
    pool_mode: "transaction",
  };
}

test("where nothing names the pooler it is asked for, not guessed, and nothing is written", async () => {
  const result = await bench.run(["init", REF, ...WITH_PASSWORD, ...rooted()], { env: hosts({}) });
  expect(result.code).toBe(1);
  expect(result.stderr).toContain(
    `no connection to the project that works: direct ${DIRECT}: server out of reach`,
  );
  expect(result.stderr).toContain("--pooler");
  const again = await bench.run(["init", REF, ...WITH_PASSWORD, "--json"], { env: hosts({}) });
  expect(JSON.parse(again.stdout + again.stderr)).toMatchObject({
    error: { code: "operation.no_way_in", kind: "unavailable" },
  });
  await expect(stat(bench.path("sparekeep.yaml"))).rejects.toThrow("ENOENT");
  await expect(stat(bench.path("repo"))).rejects.toThrow("ENOENT");
});

test("a session pooler's string goes on being named where it stands", async () => {
  const user = `postgres.${REF}:${encodeURIComponent(PASSWORD)}`;
  const url = `postgresql://${user}@${POOLER}:5432/postgres?sslrootcert=${certificates.caFile}`;
  const result = await bench.json(["init", "--connection-env", "DATABASE_URL", "--to", "repo"], {
    env: { ...hosts({ pooler: session.port }), DATABASE_URL: url },
  });
  expect(result.document).toMatchObject({
    connection: {
      ref: REF,
      way: "session pooler",
      asGiven: true,
      tried: [
        { way: "direct", outcome: "failed", code: "postgres.unreachable" },
        { way: "session pooler", outcome: "works" },
      ],
    },
  });
  expect(result.stdout).not.toContain(PASSWORD);
  const policy = await readFile(bench.path("sparekeep.yaml"), "utf8");
  expect(policy).toContain('connection: { env: "DATABASE_URL" }');
});

test.for([
  `postgresql://postgres.${REF}:x@${POOLER}:6543/postgres`,
  `postgresql://postgres:x@${DIRECT}:6543/postgres`,
])("the transaction pooler is refused: %s", async (url) => {
  await writeFile(bench.path("url"), url, { mode: 0o600 });
  const result = await bench.run(["init", "--connection-file", "url", "--to", "repo"], {
    env: hosts({ pooler: session.port, direct: session.port }),
  });
  expect(result.code).toBe(2);
  expect(result.stderr).toContain("transaction pooler");
  expect(result.stderr).toContain("Use the session pooler (port 5432");
});

test("the page's string with its placeholder is no connection string yet", async () => {
  const url = `postgresql://postgres.${REF}:[YOUR-PASSWORD]@${POOLER}:5432/postgres`;
  await writeFile(bench.path("url"), url, { mode: 0o600 });
  const result = await bench.run(["init", "--connection-file", "url", "--to", "repo"], {
    env: hosts({ pooler: session.port }),
  });
  expect(result.code).toBe(2);
  expect(result.stderr).toContain("Write the database's password in its place");
});

test("a transaction pooler on the session pooler's address is found out", async () => {
  const result = await bench.run(["init", REF, ...WITH_PASSWORD, ...rooted(), "--pooler", POOLER], {
    env: hosts({ pooler: transaction.port }),
  });
  expect(result.code).toBe(1);
  expect(result.stderr).toContain("pooler that keeps no session");
  await expect(stat(bench.path("sparekeep.yaml"))).rejects.toThrow("ENOENT");
});

test("without Supabase's root certificate the error explains where it is had", async () => {
  const result = await bench.run(["init", REF, ...WITH_PASSWORD, "--pooler", POOLER], {
    env: hosts({ direct: session.port, pooler: session.port }),
  });
  expect(result.code).toBe(1);
  expect(result.stderr).toContain("root certificate of Supabase's own");
});

test.for([
  [["init", "shop", ...WITH_PASSWORD], "operation.project_unclear", "no reference and no address"],
  [["init", REF, "--to", "repo"], "operation.project_unclear", "no password of the project's"],
  [["init", REF], "cli.usage", "without --to"],
  [
    ["init", REF, ...WITH_PASSWORD, "--pooler", "example.com"],
    "operation.project_unclear",
    "no host of Supabase's",
  ],
] as const)("%s says what is missing", async ([line, code, message]) => {
  const result = await bench.run([...line, "--json"], { env: hosts({}) });
  expect(result.code).toBe(2);
  expect(JSON.parse(result.stdout + result.stderr)).toMatchObject({
    error: { code, message: expect.stringContaining(message) as unknown },
  });
});
