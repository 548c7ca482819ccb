import { spawnSync } from "node:child_process";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { Secret } from "../../src/kernel/index.ts";
import { connect } from "../../src/postgres/index.ts";
import { createCliBench } from "../support/cli.ts";
import type { CliBench } from "../support/cli.ts";
import {
  createTestDatabase,
  failOnLeakedSessions,
  sharedCluster,
  startCluster,
} from "../support/cluster.ts";
import type { TestDatabase } from "../support/cluster.ts";
import { captureToMemory, testTools } from "../support/capture.ts";
import { runRestoreScript, writeSnapshotFolder } from "../support/recovered-folder.ts";
import { captureForRestore } from "../support/restore.ts";

/** Rows of an audit log in a repository of their own, and everything else in another: two keys, neither opens both. */
const SCRIPT = `
CREATE TABLE orders (id int PRIMARY KEY, note text);
INSERT INTO orders SELECT g, 'order ' || g FROM generate_series(1, 200) g;
CREATE TABLE audit_logs (id int GENERATED ALWAYS AS IDENTITY, at date NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE audit_2025 PARTITION OF audit_logs FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE audit_2026 PARTITION OF audit_logs FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO audit_logs (at, what) SELECT '2025-06-01'::date + g, 'entry ' || g FROM generate_series(1, 300) g;
CREATE INDEX audit_at ON audit_logs (at);
`;

// The program is started many times in each: on a slow machine that takes minutes.
vi.setConfig({ testTimeout: 600_000 });

let source: TestDatabase;
let bench: CliBench;

function policyText(except = "except: { audit_logs: audit-logs }, "): string {
  return `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: DB } } }
destinations:
  production: { class: production, url: ./production, password: { file: ./production-key } }
  audit: { class: audit, url: ./audit, password: { file: ./audit-key } }
plans:
  nightly: { source: db, capture: everything, ${except}to: production }
  audit-logs: { source: db, capture: { tables: [audit_logs] }, to: audit }
`;
}

beforeAll(async () => {
  source = await createTestDatabase({ script: SCRIPT });
  bench = await createCliBench({ DB: source.url });
  await writeFile(bench.path("sparekeep.yaml"), policyText());
  expect((await bench.run(["init", "--generate-password"])).code).toBe(0);
});
afterEach(async () => failOnLeakedSessions(await sharedCluster()));
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await source[Symbol.asyncDispose]();
});

async function names(destination: string): Promise<readonly string[]> {
  const listed = await bench.json(["ls", "latest", "database/tables/public", "-d", destination]);
  const { entries } = listed.document as { entries: readonly { path: string }[] };
  return entries.map(({ path }) => path.split("/").at(-1) ?? "").toSorted();
}

describe("a plan that leaves rows to another", () => {
  test("is refused where the other does not capture them", async () => {
    const wrong: readonly (readonly [string, string])[] = [
      [policyText("except: { audit_logs: nightly }, "), "does not capture public.audit_logs"],
      [policyText("except: { audit_log: audit-logs }, "), "does not capture public.audit_log "],
      [policyText("except: { audit_logs: gone }, "), 'plan "gone" does not capture'],
      [policyText("except: {}, "), "without a table"],
      [policyText('except: { "a.b.c.d": audit-logs }, '), "no name of a table"],
    ];
    for (const [text, message] of wrong) {
      await writeFile(bench.path("wrong.yaml"), text);
      const { code, document } = await bench.json(["backup", "nightly", "-p", "wrong.yaml"]);
      expect({ code, text: JSON.stringify(document) }).toMatchObject({
        code: 2,
        text: expect.stringContaining(JSON.stringify(message).slice(1, -1)) as unknown,
      });
    }
  });

  test("says which, in the run and in RECOVERY.md, and holds none of them", async () => {
    const early = await bench.json(["status", "--plan", "nightly"]);
    expect(early.document).toMatchObject({ plans: [{ findings: [{ code: "no_point" }, {}] }] });
    const nightly = await bench.json(["backup", "nightly"]);
    expect(nightly).toMatchObject({ code: 0, document: { outcome: "complete", rows: "200" } });
    expect(nightly.document).toMatchObject({
      leftOut: expect.arrayContaining([
        {
          object: "the rows of public.audit_logs",
          reason: expect.stringContaining("plan audit-logs") as unknown,
        },
      ]) as unknown,
    });
    const audit = await bench.json(["backup", "audit-logs"]);
    expect(audit).toMatchObject({ code: 0, document: { outcome: "complete", rows: "300" } });
    expect(await names("production")).toEqual(["orders"]);
    expect(await names("audit")).toEqual(["audit_2025", "audit_2026"]);
    const elsewhere = await bench.run(["export", "-d", "production", "--table", "audit_2026"]);
    expect(elsewhere.code).toBe(1);
    expect(elsewhere.stderr).toContain("its plan leaves the rows to plan audit-logs");
    const { stdout } = await bench.run(["dump", "latest", "RECOVERY.md", "-d", "production"]);
    expect(stdout).toContain("**Without the rows of public.audit_logs (plan audit-logs)**");
    expect(stdout).not.toContain("Everything that is needed is here.");
  });

  test("keeps the keys apart: neither repository opens with the other's", async () => {
    for (const [mine, other] of [
      ["audit", "production"],
      ["production", "audit"],
    ] as const) {
      const line = ["snapshots", "--repository", bench.path(mine)];
      const own = await bench.run([...line, "--password-file", bench.path(`${mine}-key`)]);
      expect(own.code).toBe(0);
      const wrong = await bench.run([...line, "--password-file", bench.path(`${other}-key`)]);
      expect(wrong).toMatchObject({ code: 12, stdout: "" });
    }
    expect(await readFile(bench.path("audit-key"))).not.toEqual(
      await readFile(bench.path("production-key")),
    );
    expect(await readdir(bench.path("audit/snapshots"))).toHaveLength(1);
  });

  test("is covered by the other: status says so, and misses it where there is no point", async () => {
    const covered = await bench.json(["status"]);
    expect(covered).toMatchObject({ code: 0 });
    expect(covered.document).toMatchObject({
      plans: [{ plan: "nightly", leaves: [{ newestGood: { known: { state: "verified" } } }] }, {}],
    });
    const text = await bench.run(["status", "--plan", "nightly"]);
    expect(text.stdout).toContain("rows of public.audit_logs: in plan audit-logs, newest good");
    // The same plans, and an audit repository in which nothing lies yet.
    const fresh = policyText().replace("./audit,", "./audit-new,");
    await writeFile(bench.path("fresh.yaml"), fresh);
    expect((await bench.run(["init", "-p", "fresh.yaml", "-d", "audit"])).code).toBe(0);
    const bare = await bench.json(["status", "--plan", "nightly", "-p", "fresh.yaml"]);
    expect(bare).toMatchObject({
      code: 21,
      document: { plans: [{ findings: [{ code: "left_uncovered" }] }] },
    });
  });

  test("comes back with the table empty, said before and after; the rows from the other's SQL", async () => {
    await using target = await startCluster();
    const env = { TARGET: target.url("back") };
    const into = ["restore", "latest", "-d", "production", "--to-env", "TARGET", "--create"];
    const restored = await bench.json([...into, "--yes"], { env });
    expect(restored).toMatchObject({ code: 0, document: { outcome: "complete" } });
    expect(JSON.stringify(restored.document)).toContain("rows of public.audit_logs");
    const count = async (): Promise<unknown> =>
      (await target.query("SELECT count(*)::int AS n FROM audit_logs", { database: "back" }))[0];
    expect(await count()).toEqual({ n: 0 });
    const { psql } = await testTools();
    for (const table of await names("audit")) {
      const line = ["export", "-d", "audit", "--table", table, "--format", "sql"];
      const { stdout, code } = await bench.run(line);
      expect(code).toBe(0);
      const loaded = spawnSync(psql, ["-v", "ON_ERROR_STOP=1", env.TARGET], { input: stdout });
      expect(loaded.stderr.toString()).toBe("");
    }
    expect(await count()).toEqual({ n: 300 });
  });

  test("comes back by psql and pg_restore alone, which say what was never there", async () => {
    const made = await captureForRestore(source.url, {
      leaves: [{ schema: "public", name: "audit_logs", plan: "audit-logs" }],
    });
    const folder = await writeSnapshotFolder(made);
    await using target = await startCluster();
    await target.createDatabase("another");
    await target.createDatabase("back");
    const ended = runRestoreScript(folder, target, "back");
    expect(ended).toMatchObject({ status: 0 });
    expect(ended.output).toContain("never held the rows of: public.audit_logs (plan audit-logs)");
    expect(ended.output).not.toContain("everything is there");
    await rm(folder, { recursive: true });
  });

  test("does not take them for gone where it captured them before", async () => {
    await writeFile(bench.path("all.yaml"), policyText(""));
    expect((await bench.run(["backup", "nightly", "-p", "all.yaml"])).code).toBe(0);
    const now = await bench.json(["backup", "nightly"]);
    expect(now).toMatchObject({ code: 0, document: { guards: { findings: [] } } });
  });

  test("needs no right to them, and says where their definition is out as well", async () => {
    await source.psql(
      "CREATE ROLE except_reader LOGIN PASSWORD 'x'; GRANT SELECT ON orders, audit_logs_id_seq TO except_reader;",
    );
    try {
      const url = source.cluster.url(source.name, { name: "except_reader", password: "x" });
      const run = await bench.json(["backup", "nightly"], { env: { DB: url } });
      expect(run).toMatchObject({ code: 0, document: { outcome: "complete", issues: [] } });
      expect(JSON.stringify(run.document["leftOut"])).toContain("not even its definition");
    } finally {
      await source.psql("DROP OWNED BY except_reader; DROP ROLE except_reader;");
    }
  });

  test("is incomplete where a lock in passing costs their definition", async () => {
    await using held = await connect({
      url: new Secret(source.url),
      applicationName: "somebody's migration",
      readOnly: false,
    });
    await held.query("BEGIN");
    await held.query("LOCK TABLE public.audit_logs IN ACCESS EXCLUSIVE MODE");
    const made = await captureToMemory(source.url, {
      lockTimeoutMs: 200,
      leaves: [{ schema: "public", name: "audit_logs", plan: "audit-logs" }],
    });
    await held.query("ROLLBACK");
    expect(made.issues.map(({ code, object }) => `${code} ${object}`)).toContain(
      "table_locked public.audit_logs",
    );
    const said = made.database.leftOut.find(
      ({ object }) => object === "the rows of public.audit_logs",
    );
    expect(said?.reason).toBe("the plan leaves them to plan audit-logs");
  });

  test("is incomplete where the name is gone, or rows that are captured refer to it", async () => {
    await source.psql("ALTER TABLE audit_logs RENAME TO audit_log");
    const renamed = await bench.json(["backup", "nightly"]);
    expect(renamed).toMatchObject({
      code: 3,
      document: { issues: [{ code: "table_missing", object: "public.audit_logs" }] },
    });
    await source.psql(
      "ALTER TABLE audit_log RENAME TO audit_logs; ALTER TABLE audit_logs ADD PRIMARY KEY (id, at);" +
        "CREATE TABLE refers (id int, at date, FOREIGN KEY (id, at) REFERENCES audit_logs);",
    );
    const referred = await bench.json(["backup", "nightly"]);
    expect(referred).toMatchObject({
      code: 3,
      document: { issues: [{ code: "reference_left_out", object: "public.refers" }] },
    });
  });
});
