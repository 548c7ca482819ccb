import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkAuditLog } from "../../src/operation/index.ts";
import { createCliBench } from "../support/cli.ts";
import type { CliBench } from "../support/cli.ts";
import { leakedSessions, startCluster } from "../support/cluster.ts";
import type { Cluster } from "../support/cluster.ts";
import { differencesBetween } from "../support/compare.ts";
import { startMarketplace } from "../support/marketplace.ts";
import type { Marketplace } from "../support/marketplace.ts";

/** What no restore gives back, and the plan says so: a role of the source never becomes a superuser of the target. */
const WITHHELD = /^role \w+: (superuser|replication): true became false$/;

/** One newcomer's day, step by step on one repository: each test goes on where the one before ended. */
describe("from nothing to a restored database", () => {
  let source: Marketplace;
  let target: Cluster;
  let bench: CliBench;

  beforeAll(async () => {
    source = await startMarketplace({ scale: 0.01 });
    target = await startCluster();
    bench = await createCliBench({
      DATABASE_URL: source.backupUrl,
      TARGET_URL: target.url("restored"),
    });
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
    await target[Symbol.asyncDispose]();
    await source[Symbol.asyncDispose]();
  });

  test("init writes the policy, the password and the repository", async () => {
    const result = await bench.run(["init", "--connection-env", "DATABASE_URL", "--to", "repo"]);
    expect(result).toMatchObject({ code: 0, stderr: "" });
    expect(result.stdout).toContain("nobody can ever read the backups");
    const password = await stat(bench.path("sparekeep.password"));
    expect(password.mode & 0o777).toBe(0o600);
    expect(await readFile(bench.path("sparekeep.yaml"), "utf8")).not.toContain(
      (await readFile(bench.path("sparekeep.password"), "utf8")).trim(),
    );
  });

  test("init again leaves everything as it is", async () => {
    const again = await bench.json(["init"]);
    expect(again).toMatchObject({
      code: 0,
      document: { destinations: [{ name: "local", created: false }] },
    });
    const over = await bench.run(["init", "--connection-env", "DATABASE_URL", "--to", "repo2"]);
    expect(over).toMatchObject({
      code: 2,
      stderr: `error: file sparekeep.yaml that exists already\n  fix: Name another file (of \`init\`: with --policy); an existing one is never overwritten.\n`,
    });
  });

  test("doctor finds nothing", async () => {
    const result = await bench.json(["doctor"]);
    expect(result.document).toMatchObject({ outcome: "ok" });
    expect(result.code).toBe(0);
  });

  test("backup makes a complete, read back snapshot", async () => {
    const result = await bench.json(["backup"]);
    expect(result.document).toMatchObject({
      outcome: "complete",
      plan: "full",
      source: "database",
      issues: [],
      snapshot: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(result).toMatchObject({ code: 0, stderr: "" });
    expect(await leakedSessions(source.cluster)).toEqual([]);
  });

  test("a second one, of the same data, writes hardly anything", async () => {
    const first = await bench.run(["backup"]);
    expect(first.code).toBe(0);
    expect(first.stdout).toMatch(/^complete: snapshot [0-9a-f]{8} of database, \d+ tables/m);
    expect(first.stderr).toMatch(/^tables: .* rows in /m);
    const { document } = await bench.json(["backup"]);
    const { readBytes, writtenBytes } = document;
    expect(Number(writtenBytes)).toBeLessThan(Number(readBytes) / 10);
  });

  test("snapshots lists them", async () => {
    const { document } = await bench.json(["snapshots"]);
    expect(document["snapshots"]).toMatchObject(
      Array.from({ length: 3 }, () => ({ plan: "full", outcome: "complete", state: "verified" })),
    );
    const { stdout } = await bench.run(["snapshots"]);
    expect(stdout.split("\n")[0]).toMatch(/^ID +TIME +PLAN +SOURCE +OUTCOME +STATE +HOST$/);
  });

  test("ls shows what every snapshot holds, and dump gives it", async () => {
    const { stdout } = await bench.run(["ls"]);
    for (const name of ["database/", "manifest.json", "RECOVERY.md", "restore.sh"]) {
      expect(stdout).toMatch(new RegExp(`  ${name.replaceAll(".", "\\.")}$`, "m"));
    }
    const { document } = await bench.json(["ls", "latest", "database", "--recursive"]);
    const entries = document["entries"];
    if (!Array.isArray(entries)) throw new Error("no entries");
    expect(entries.length).toBeGreaterThan(20);
    const odd = entries.find((entry: { path: string }) => entry.path.endsWith("/0000.copy"));
    const file = await bench.run(["dump", "latest", odd.path]);
    expect(file.code).toBe(0);
    expect(Buffer.byteLength(file.stdout)).toBe(odd.sizeBytes);
    const saved = await bench.json(["dump", "latest", "manifest.json", "--output", "m.json"]);
    expect(saved.code).toBe(0);
    const manifest = await readFile(bench.path("m.json"), "utf8");
    expect(JSON.parse(manifest)).toMatchObject({ format: "sparekeep.manifest/1", plan: "full" });
    expect((await bench.run(["dump", "latest", "manifest.json", "-o", "m.json"])).code).toBe(2);
  });

  test("check finds nothing, neither in the structure nor in the data", async () => {
    for (const options of [[], ["--read-data"]]) {
      const { code, document } = await bench.json(["check", ...options]);
      expect(document).toMatchObject({ outcome: "clean", findings: [], snapshots: 3 });
      expect(code).toBe(0);
    }
  });

  test("restore shows its plan first and wants it confirmed", async () => {
    const into = ["restore", "latest", "--to-env", "TARGET_URL", "--create"];
    const dry = await bench.run([...into, "--dry-run"]);
    expect(dry.code).toBe(0);
    const asked = await bench.run(into);
    expect(asked.code).toBe(2);
    expect(asked.stdout).toBe(dry.stdout);
    expect(asked.stderr).toContain("Look at the plan, then run again with --yes.");
    const { document } = await bench.json([...into, "--dry-run"]);
    expect(document).toMatchObject({ plan: { database: "restored", resumes: false } });
    const databases = await target.query(
      "SELECT datname FROM pg_database WHERE datname = 'restored'",
    );
    expect(databases).toEqual([]);
  });

  test("restore rebuilds the database, and nothing differs", async () => {
    const result = await bench.json([
      "restore",
      "latest",
      "--to-env",
      "TARGET_URL",
      "--create",
      "--yes",
    ]);
    expect(result.document).toMatchObject({ outcome: "complete", issues: [] });
    expect(result).toMatchObject({ code: 0, stderr: "" });
    expect(await leakedSessions(target)).toEqual([]);
    const differences = await differencesBetween(
      { url: source.cluster.url(source.database) },
      { url: target.url("restored"), ignoreRoles: [target.superuser] },
    );
    expect(differences.filter((line) => !WITHHELD.test(line))).toEqual([]);
  });

  test("a restored database is no empty target, and the source is none at all", async () => {
    const again = await bench.json(["restore", "--to-env", "TARGET_URL", "--yes"]);
    expect(again).toMatchObject({
      code: 2,
      document: { error: { code: "restore.target_not_empty", kind: "usage" } },
    });
    const env = { DATABASE_URL: source.cluster.url(source.database) };
    const onSource = await bench.json(["restore", "--to-env", "DATABASE_URL", "--yes"], { env });
    expect(onSource).toMatchObject({
      code: 2,
      document: { error: { code: "restore.target_is_source" } },
    });
  });

  test("the repository and its password are enough", async () => {
    const only = ["--repository", "repo", "--password-file", "sparekeep.password"];
    const { document } = await bench.json(["snapshots", ...only]);
    expect(document["snapshots"]).toHaveLength(3);
  });

  test("every access stands in the audit log, in one unbroken chain", async () => {
    const folder = join(bench.stateFolder, "backup");
    const report = await checkAuditLog(folder);
    expect(report?.findings).toEqual([]);
    const log = await readFile(join(folder, "audit.jsonl"), "utf8");
    const actions = log
      .trimEnd()
      .split("\n")
      .map((line) => String(JSON.parse(line).action));
    expect(new Set(actions)).toEqual(
      new Set(["init", "doctor", "backup", "snapshots", "ls", "dump", "check", "restore"]),
    );
    expect(log).not.toContain(new URL(source.backupUrl).password);
  });
});
