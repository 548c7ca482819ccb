import { afterEach, describe, expect, test } from "vitest";
import { Secret } from "../../src/kernel/index.ts";
import { readLastWrite } from "../../src/source/index.ts";
import {
  createTestDatabase,
  failOnLeakedSessions,
  sharedCluster,
  startCluster,
} from "../support/cluster.ts";
import { createSupabaseBench } from "../support/supabase-bench.ts";

const signal = new AbortController().signal;

afterEach(async () => failOnLeakedSessions(await sharedCluster()));

describe("the last write", () => {
  test("to the commit, where the server keeps timestamps", async () => {
    await using cluster = await startCluster({ settings: { track_commit_timestamp: "on" } });
    await cluster.query("CREATE TABLE t (n int)");
    const [row] = await cluster.query<{ at: Date }>(
      "SELECT timestamp AS at FROM pg_last_committed_xact()",
    );
    const found = await readLastWrite({ url: new Secret(cluster.url()), signal });
    expect(found).toMatchObject({ from: "commit timestamp" });
    expect("at" in found && Math.abs(found.at.getTime() - (row?.at.getTime() ?? 0)) < 1000).toBe(
      true,
    );
  });

  test("by the WAL file, for members of pg_monitor alone", async () => {
    // WAL is written by the commits and by nothing else, and before they return.
    const settings = {
      autovacuum: "off",
      synchronous_commit: "on",
      wal_level: "minimal",
      max_wal_senders: "0",
    };
    await using cluster = await startCluster({ settings });
    await cluster.psql(
      "CREATE ROLE watcher LOGIN PASSWORD 'w'; GRANT pg_monitor TO watcher; CREATE ROLE nobody LOGIN PASSWORD 'n'; CREATE TABLE t (n int);",
    );
    const as = (name: string, password: string) =>
      readLastWrite({ url: new Secret(cluster.url("postgres", { name, password })), signal });
    const before = await as("watcher", "w");
    expect(before).toMatchObject({ from: "WAL file" });
    expect(await as("watcher", "w")).toEqual(before);
    await cluster.query("SELECT pg_sleep(1.1)");
    await cluster.query("INSERT INTO t VALUES (1)");
    const after = await as("watcher", "w");
    expect("at" in after && "at" in before && after.at > before.at).toBe(true);
    expect(await as("nobody", "n")).toMatchObject({
      unknown: expect.stringContaining("pg_monitor") as unknown,
    });
  });

  test("of a database that does not answer is not known, and no error", async () => {
    const url = new Secret("postgresql://u:secret-4711@127.0.0.1:1/d");
    const found = await readLastWrite({ url, signal });
    expect(found).toMatchObject({
      unknown: expect.stringContaining("could not be asked") as unknown,
    });
    expect(JSON.stringify(found)).not.toContain("secret-4711");
  });
});

const EXPECT =
  "provider: { database: { expect: { one_of: [pitr, daily_backup], window: 7 days, newest_within: 26h } } }";

describe("sparekeep provider", () => {
  test("met, missed, and in the dark", async () => {
    await using database = await createTestDatabase();
    await using bench = await createSupabaseBench(database.url);
    const { cli, api } = bench;
    await bench.policy(EXPECT);
    const nowS = Math.floor(Date.now() / 1000);
    const pitr = (earliest: number, latest: number): void => {
      api.state.answers["/database/backups"] = {
        region: "eu-central-1",
        walg_enabled: true,
        pitr_enabled: true,
        backups: [],
        physical_backup_data: {
          earliest_physical_backup_date_unix: nowS - earliest,
          latest_physical_backup_date_unix: nowS - latest,
        },
      };
    };
    pitr(8 * 86_400, 60);
    const met = await cli.run(["provider"]);
    expect(met).toMatchObject({ code: 0, stderr: "" });
    expect(met.stdout).toMatch(/^met: provider of database, project abcdefghijklmnopqrst/);
    expect(met.stdout).toContain("last write:");

    pitr(2 * 86_400, 60);
    const missed = await cli.json(["provider", "database"]);
    expect(missed.code).toBe(21);
    expect(missed.document).toMatchObject({
      outcome: "missed",
      providers: [{ findings: [{ code: "provider_window_short" }] }],
    });

    api.state.answers["/database/backups"] = 404;
    api.fail("GET /database/backups", { status: 403 });
    const denied = await cli.run(["provider"]);
    expect(denied.code).toBe(1);
    expect(denied.stderr).toContain("backups_read");
    expect(`${denied.stdout}${denied.stderr}`).not.toContain(api.token);
  });

  test("without an expectation, or a token", async () => {
    await using database = await createTestDatabase();
    await using bench = await createSupabaseBench(database.url);
    const none = await bench.cli.json(["provider"]);
    expect(none.code).toBe(2);
    expect(none.document).toMatchObject({ error: { code: "operation.no_provider" } });
    await bench.policy(EXPECT, (text) =>
      text.replace(
        "management_token: { env: SUPABASE_ACCESS_TOKEN }",
        "management_token: { env: NOT_SET }",
      ),
    );
    const unset = await bench.cli.run(["provider"]);
    expect(unset.code).toBe(2);
    expect(unset.stderr).toContain("NOT_SET");
  });
});
