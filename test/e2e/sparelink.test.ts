import { execFile } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { GetObjectCommand, HeadObjectCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { testTools } from "../support/capture.ts";
import { startCeph } from "../support/ceph.ts";
import type { Ceph } from "../support/ceph.ts";
import { createCertificates } from "../support/certificates.ts";
import { createCliBench } from "../support/cli.ts";
import type { CliBench, JsonResult } from "../support/cli.ts";
import { startGoogleStorage } from "../support/google-storage.ts";
import type { GoogleStorage } from "../support/google-storage.ts";
import { createTestKeyring } from "../support/gpg.ts";
import type { TestKeyring } from "../support/gpg.ts";
import { startManagementApi } from "../support/management-api.ts";
import type { ManagementStandIn } from "../support/management-api.ts";
import { SECRETS } from "../support/management-api-project.ts";
import { startSupabaseProject } from "../support/supabase/project.ts";
import type { SupabaseProject } from "../support/supabase/project.ts";

/**
 * `examples/sparelink.yaml` as it stands, with other addresses: every plan of it runs once, on a Supabase project, two
 * kinds of bucket over TLS and a git repository. Each test goes on where the one before ended.
 */
const run = promisify(execFile);
const TABLES = ["profiles", "shops", "orders", "part_requests", "offers"];
const HOUR_MS = 3_600_000;

let project: SupabaseProject;
let api: ManagementStandIn;
let staging: ManagementStandIn;
let ceph: Ceph;
let google: GoogleStorage;
let keys: TestKeyring;
let bench: CliBench;
let policyText: string;
let buckets: { readonly production: string; readonly audit: string; readonly dev: string };

beforeAll(async () => {
  [project, api, staging, ceph, keys] = await Promise.all([
    startSupabaseProject(),
    startManagementApi("zcxsbfzezfjnkxwnnklf"),
    startManagementApi("stgstgstgstgstgstgst"),
    startCeph(["GLACIER_IR"]),
    createTestKeyring(),
  ]);
  const tables = join(import.meta.dirname, "../support/sparelink/tables.sql");
  await project.psql(`SET SESSION AUTHORIZATION postgres;\n${await readFile(tables, "utf8")}`);
  await project.cluster.createDatabase("dev");
  await project.cluster.psql("CREATE TABLE parts AS SELECT 1 AS n;", "dev");
  const [production, audit, dev] = [
    await ceph.createBucket({ locks: true }),
    await ceph.createBucket(),
    await ceph.createBucket(),
  ];
  buckets = { production, audit, dev };
  bench = await createCliBench({
    SUPABASE_DB_URL: project.url,
    SUPABASE_ACCESS_TOKEN: api.token,
    STAGING_ACCESS_TOKEN: staging.token,
    DEV_DB_URL: project.cluster.url("dev"),
    ...Object.fromEntries(
      ["BACKUP", "AUDIT", "DEV"].flatMap((name) => [
        [`${name}_ACCESS_KEY`, ceph.owner.accessKey],
        [`${name}_SECRET_KEY`, ceph.owner.secretKey],
      ]),
    ),
  });
  const certificates = await createCertificates(keys.home, ["DNS:localhost", "IP:127.0.0.1"]);
  google = await startGoogleStorage({ bucket: "sparelink-offsite", certificates });
  await layOut(ceph.certificates.authority + certificates.authority);
  const example = join(import.meta.dirname, "../../examples/sparelink.yaml");
  policyText = withOtherAddresses(await readFile(example, "utf8"));
  await writeFile(bench.path("sparekeep.yaml"), policyText);
}, 600_000);
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  const started = [keys, google, ceph, api, staging, project];
  await Promise.all(started.map((one) => one[Symbol.asyncDispose]()));
  expect([...api.violations, ...staging.violations]).toEqual([]);
});

/** What the policy expects to be there: authorities, keys, the git repository. */
async function layOut(authorities: string): Promise<void> {
  await writeFile(bench.path("ca.pem"), authorities);
  await mkdir(bench.path("secrets"), { mode: 0o700 });
  await writeFile(bench.path("secrets/offsite.json"), google.serviceAccount, { mode: 0o600 });
  await keys.createKey("backups@sparelink.co.za");
  await mkdir(bench.path("keys"));
  const exported = await readFile(await keys.exportKey("backups@sparelink.co.za"));
  await writeFile(bench.path("keys/backups.asc"), exported);
  await run("git", ["init", "--bare", "-b", "main", bench.path("migrations.git")]);
  const day = (days: number): string => new Date(Date.now() - days * 24 * HOUR_MS).toISOString();
  const daily = [0.1, 1.1, 2.1, 3.1, 4.1, 5.1, 6.1, 7.1].map((days) => ({
    is_physical_backup: true,
    status: "COMPLETED",
    inserted_at: day(days),
  }));
  const held = api.state.answers["/database/backups"];
  Object.assign(held as object, { backups: daily });
}

/** Each stands in the example exactly so often, so that none is missed and nothing else changed. */
function withOtherAddresses(example: string): string {
  const at = (bucket: string): string => `s3:${ceph.tlsEndpoint}/${bucket}`;
  const changes: readonly (readonly [from: string, to: string])[] = [
    ["s3://sparelink-backups/production", `${at(buckets.production)}/production`],
    ["s3://sparelink-backups/database", `${at(buckets.production)}/database`],
    ["s3://sparelink-audit/backups", `${at(buckets.audit)}/backups`],
    ["s3://sparelink-dev-backups/repository", `${at(buckets.dev)}/repository`],
    [
      "url: gs://sparelink-offsite/production",
      `url: gs://sparelink-offsite/production\n    endpoint: ${google.endpoint}`,
    ],
    ["git@github.com:sparelink/migrations.git", "./migrations.git"],
    ['tls: { min: "1.3" }', 'tls: { min: "1.3", ca: ./ca.pem }'],
    [
      "management_token: { env: SUPABASE_ACCESS_TOKEN }",
      `management_token: { env: SUPABASE_ACCESS_TOKEN }\n    management_api: ${api.address}`,
    ],
    [
      "management_token: { env: STAGING_ACCESS_TOKEN }",
      `management_token: { env: STAGING_ACCESS_TOKEN }\n    management_api: ${staging.address}`,
    ],
  ];
  let text = example;
  for (const [from, to] of changes) {
    expect({ from, times: text.split(from).length - 1 }).toEqual({ from, times: 1 });
    text = text.replace(from, to);
  }
  return text;
}

async function done(...args: readonly string[]): Promise<Record<string, unknown>> {
  const result: JsonResult = await bench.json(args);
  if (result.code !== 0) throw new Error(`${args.join(" ")}: ${JSON.stringify(result.document)}`);
  return result.document;
}

async function keysOf(bucket: string): Promise<readonly string[]> {
  const found = await ceph.admin.send(new ListObjectsV2Command({ Bucket: bucket }));
  return (found.Contents ?? []).map(({ Key }) => Key ?? "");
}

test("its repositories are made, each with a password of its own, for their owners", async () => {
  const made = await done("init", "--generate-password");
  expect(made).toMatchObject({
    destinations: [
      { name: "production", created: true, wrappedFor: [expect.stringMatching(/^age1/)] },
      { name: "offsite", created: true },
      { name: "audit", created: true },
      { name: "development", created: true },
    ],
  });
  const names = ["production", "offsite", "audit", "development"];
  const texts = await Promise.all(
    names.map((name) => readFile(bench.path(`secrets/${name}`), "utf8")),
  );
  expect(new Set(texts).size).toBe(names.length);
});

test("nightly: the whole database and the project's settings, verified", async () => {
  expect(await done("backup", "nightly")).toMatchObject({
    outcome: "complete",
    state: "verified",
    destination: "production",
    capture: "everything",
    lockedUntil: expect.any(String) as unknown,
    connection: { tls: ["TLSv1.3"], plain: false },
    project: { functions: 1 },
  });
});

test("the audit log is the security team's: none of its rows lie with the rest", async () => {
  const listed = await bench.run(["ls", "latest", "database/tables/public", "-d", "production"]);
  for (const table of TABLES) expect(listed.stdout).toContain(table);
  expect(listed.stdout).not.toContain("audit_logs");
});

test("critical-tables: these five alone, as CSV and JSON too", async () => {
  expect(await done("backup", "critical-tables")).toMatchObject({
    outcome: "complete",
    state: "verified",
    tables: TABLES.length,
    rows: "125",
  });
  const listed = await bench.run(["ls", "latest", "exports/public", "--destination", "production"]);
  for (const table of TABLES) {
    expect(listed.stdout).toContain(`${table}.csv`);
    expect(listed.stdout).toContain(`${table}.jsonl`);
  }
  expect(listed.stdout).not.toContain("audit_logs");
  const file = ["dump", "latest", "exports/public/part_requests.jsonl", "-d", "production"];
  const { stdout } = await bench.run(file);
  const rows = stdout.trimEnd().split("\n");
  expect(rows).toHaveLength(30);
  expect(JSON.parse(rows[0] ?? "")).toMatchObject({ part: "alternator", note: "two\nlines" });
});

test("before-migration: guard keeps the schema before and after, here and in git", async () => {
  const { psql } = await testTools();
  const sql = "ALTER TABLE public.orders ADD COLUMN courier text";
  const line = ["guard", "--plan", "before-migration", "--", psql, "-d", project.url, "-c", sql];
  const guarded = await bench.run(line);
  if (guarded.code !== 0) throw new Error(guarded.stderr);
  const git = (...args: readonly string[]) =>
    run("git", ["--git-dir", bench.path("migrations.git"), ...args]);
  const log = (await git("log", "--format=%an <%ae>", "main")).stdout.trim().split("\n");
  expect(log).toEqual(Array(2).fill("SpareLink Backups <devops@sparelink.co.za>"));
  const changed = (await git("diff", "main~1", "main", "--", "schema/")).stdout;
  expect(changed).toMatch(/^\+.*courier text/m);
});

test("weekly-dump: one file under the strategy's name, which stock gpg and pg_restore read", async () => {
  await done("backup", "weekly-dump");
  const dumps = (await keysOf(buckets.production)).filter((key) => key.startsWith("database/"));
  const name = dumps.find((key) => key.endsWith(".gpg")) ?? "";
  expect(name).toMatch(/^database\/sparelink_backup_\d{8}\.dump\.gpg$/);
  expect(await done("dumps", "--verify")).toMatchObject({
    outcome: "ok",
    dumps: [{ state: "verified" }],
  });
  const object = new GetObjectCommand({ Bucket: buckets.production, Key: name });
  const sealed = await (await ceph.admin.send(object)).Body?.transformToByteArray();
  const file = bench.path("weekly.dump.gpg");
  await writeFile(file, sealed ?? "");
  await keys.gpg(["--output", bench.path("weekly.dump"), "--decrypt", file]);
  const { pgRestore } = await testTools();
  const { stdout } = await run(pgRestore, ["--list", bench.path("weekly.dump")]);
  for (const table of [...TABLES, "audit_logs"]) {
    expect(stdout).toContain(`TABLE DATA public ${table} `);
  }
});

test("audit-logs: in a repository of their own, cold, which the production key does not open", async () => {
  expect(await done("backup", "audit-logs")).toMatchObject({
    outcome: "complete",
    destination: "audit",
    tables: 1,
    rows: "500",
  });
  const classes = new Map<string, string>();
  for (const key of await keysOf(buckets.audit)) {
    const head = await ceph.admin.send(new HeadObjectCommand({ Bucket: buckets.audit, Key: key }));
    if (head.StorageClass === "GLACIER_IR") classes.set(key.split("/")[1] ?? "", head.StorageClass);
  }
  expect([...classes.keys()]).toEqual(["data"]);
  // As the policy stands it cannot even be written; without its classes it is tried.
  const other = policyText.replace("./secrets/audit", "./secrets/production");
  await writeFile(bench.path("mixed.yaml"), other);
  const refused = await bench.json(["snapshots", "-d", "audit", "--policy", "mixed.yaml"]);
  expect(refused).toMatchObject({ code: 2, document: { error: { code: "policy.invalid" } } });
  await writeFile(bench.path("mixed.yaml"), other.replaceAll(/^ +class: .*\n/gm, ""));
  const tried = await bench.json(["snapshots", "-d", "audit", "--policy", "mixed.yaml"]);
  expect(tried.code).toBe(12);
});

test("dev-nightly: in the repository of its class", async () => {
  expect(await done("backup", "dev-nightly")).toMatchObject({ destination: "development" });
});

test("each point lies where the policy says, proven, production's locked", async () => {
  const points = async (destination: string, ...more: readonly string[]): Promise<unknown> =>
    (await done("snapshots", "-d", destination, ...more))["snapshots"];
  const locked = { mode: "compliance", until: expect.any(String) as unknown };
  expect(await points("production", "--locks")).toMatchObject(
    ["nightly", "critical-tables", "before-migration", "before-migration"].map((plan) => ({
      plan,
      outcome: "complete",
      state: "verified",
      lock: locked,
    })),
  );
  expect(await points("audit")).toMatchObject([{ plan: "audit-logs", scope: "tables" }]);
  expect(await points("development")).toMatchObject([{ plan: "dev-nightly" }]);
});

test("copies: the offsite repository holds them too, and 3-2-1-1-0 is met", async () => {
  expect(await done("copy")).toMatchObject({ outcome: "complete", failed: [] });
  expect(await done("copies", "--plan", "nightly", "--check")).toMatchObject({
    plans: [{ plan: "nightly", met: "yes" }],
  });
});

test("status: every plan stands, the audit log is covered, nothing has drifted", async () => {
  const { document, code } = await bench.json(["status", "--within", "1 day"]);
  expect(document).toMatchObject({
    plans: [
      { plan: "nightly", outcome: "met", leaves: [{ plan: "audit-logs" }] },
      { plan: "critical-tables", outcome: "met" },
      { plan: "before-migration", outcome: "met" },
      { plan: "weekly-dump", outcome: "met" },
      { plan: "audit-logs", outcome: "met" },
      { plan: "dev-nightly", outcome: "met" },
    ],
    projects: [{ compared: { outcome: "same" } }],
    providers: [{ watched: { outcome: "met" } }],
  });
  expect(code).toBe(0);
});

test("staging takes the project's settings, the secret that has a place with them", async () => {
  await mkdir(bench.path("vault"), { mode: 0o700 });
  await writeFile(bench.path("vault/smtp-password"), SECRETS.smtp, { mode: 0o600 });
  Object.assign(staging.state.answers["/config/auth"] as object, {
    site_url: "http://localhost:3000",
    smtp_pass: null,
    external_google_secret: null,
  });
  const line = ["project", "apply", "latest", "--to", "staging", "-d", "production"];
  const applied = await bench.json([...line, "--confirm", "stgstgstgstgstgstgst"]);
  expect(applied).toMatchObject({
    code: 3,
    document: {
      requests: [{ service: "auth", outcome: "taken" }],
      // The policy names no place for this one, and a run says so.
      left: [{ setting: "external_google_secret", sign: "!" }],
    },
  });
  expect(staging.state.answers["/config/auth"]).toMatchObject({
    site_url: "https://shop.example",
    smtp_pass: SECRETS.smtp,
  });
});

test("what is kept, and the provider's own backups, are as the policy says", async () => {
  for (const name of ["production", "audit", "development"]) {
    expect(await done("forget", "-d", name, "--dry-run")).toMatchObject({
      plan: { forget: [], stopped: false },
    });
  }
  expect(await done("provider")).toMatchObject({
    outcome: "met",
    providers: [{ project: "zcxsbfzezfjnkxwnnklf", findings: [] }],
  });
});

test("the production repository is whole, and holds no secret of the policy in clear", async () => {
  expect(await done("check", "-d", "production")).toMatchObject({ outcome: "clean" });
  const folder = dirname(bench.stateFolder);
  const { stdout } = await run("grep", ["-rlF", api.token, folder]).catch((thrown: unknown) => ({
    // What grep ends with where it finds nothing.
    stdout: (thrown as { code?: unknown }).code === 1 ? "" : String(thrown),
  }));
  expect(stdout).toBe("");
});
