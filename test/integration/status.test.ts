import { chmod, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { createTestDatabase, failOnLeakedSessions, sharedCluster } from "../support/cluster.ts";
import type { TestDatabase } from "../support/cluster.ts";
import { createSupabaseBench } from "../support/supabase-bench.ts";
import type { SupabaseBench } from "../support/supabase-bench.ts";

const ROWS = "CREATE TABLE t AS SELECT g AS n FROM generate_series(1, 500) AS g;";
// The program is started many times in each: on a slow machine that takes minutes.
vi.setConfig({ testTimeout: 600_000 });

let database: TestDatabase;
let bench: SupabaseBench;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());
beforeEach(async () => {
  await database.psql(`DROP TABLE IF EXISTS t; ${ROWS}`);
  bench = await createSupabaseBench(database.url);
  await bench.init();
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
  await failOnLeakedSessions(await sharedCluster());
});

const COPY = "copy: { url: ./copy, password: { env: REPOSITORY_PASSWORD } }";
const withCopy = (text: string): string =>
  text
    .replace("local: { url: ./repo,", "local: { url: ./repo, copies: [copy],")
    .replace("REPOSITORY_PASSWORD } } }", `REPOSITORY_PASSWORD } }, ${COPY} }`);

async function backedUp(): Promise<void> {
  expect((await bench.cli.run(["backup"])).code).toBe(0);
}

describe("status", () => {
  test("before the first run: nothing is there, and nothing is said to be", async () => {
    const status = await bench.cli.json(["status"]);
    expect(status.code).toBe(21);
    expect(status.document).toMatchObject({
      outcome: "missed",
      plans: [{ plan: "nightly", findings: [{ code: "no_point" }] }],
      projects: [{ failed: true, notCompared: expect.stringContaining("no point") as unknown }],
    });
  });

  test("of a good point: met, its proof, its age unjudged, no drift", async () => {
    await backedUp();
    const status = await bench.cli.json(["status"]);
    expect(status).toMatchObject({ code: 0, stderr: "" });
    expect(status.document).toMatchObject({
      outcome: "met",
      plans: [
        {
          outcome: "met",
          points: { known: { count: 1, newestGood: { outcome: "complete", state: "verified" } } },
          lock: { known: null },
          ageMs: expect.any(Number) as unknown,
          unjudged: [expect.stringContaining("age")],
        },
      ],
      projects: [{ source: "database", compared: { outcome: "same", changes: [] } }],
      providers: [],
    });
    const young = await bench.cli.json(["status", "--within", "1h"]);
    expect(young).toMatchObject({ code: 0, document: { plans: [{ unjudged: [] }] } });
    const old = await bench.cli.json(["status", "--within", "1s"]);
    expect(old).toMatchObject({ code: 21, document: { plans: [{ findings: [{}] }] } });
    const text = await bench.cli.run(["status"]);
    expect(text.stdout).toContain("  not judged: age");
    expect(text.stdout).toContain("same: project");
    expect((await bench.cli.run(["status", "--within", "soon"])).code).toBe(2);
  });

  test("shows drift, which is no fault; what the token may not read is unknown", async () => {
    await backedUp();
    Object.assign(bench.api.state.answers["/config/auth"] as object, { jwt_exp: 60 });
    const drifted = await bench.cli.json(["status"]);
    expect(drifted).toMatchObject({
      code: 0,
      document: {
        projects: [{ compared: { outcome: "drifted", changes: [{ path: ".jwt_exp" }] } }],
      },
    });
    bench.api.state.denied = ["auth_config_read"];
    const denied = await bench.cli.json(["status"]);
    expect(denied).toMatchObject({
      code: 3,
      document: { outcome: "unknown", projects: [{ compared: { outcome: "incomplete" } }] },
    });
    const refused = await bench.cli.json(["status"], { env: { SUPABASE_ACCESS_TOKEN: "revoked" } });
    expect(refused.code).toBe(3);
    await bench.policy("", (text) =>
      text.replace(/, management_token: [^}]+\}, management_api: "[^"]+"/, ""),
    );
    const none = await bench.cli.json(["status"]);
    expect(none).toMatchObject({
      code: 0,
      document: { projects: [{ notCompared: "the source has no management_token" }] },
    });
  });

  test("a disaster backed up is missed until a person takes it, and names what was found", async () => {
    await backedUp();
    await database.psql("DELETE FROM t WHERE n > 5");
    expect((await bench.cli.run(["backup"])).code).toBe(21);
    const suspect = await bench.cli.json(["status"]);
    expect(suspect).toMatchObject({
      code: 21,
      document: {
        plans: [
          {
            points: {
              known: {
                count: 2,
                newest: { state: "suspect", doubt: expect.stringContaining("rows") as unknown },
                newestGood: { state: "verified" },
                suspect: [{}],
              },
            },
            findings: [{ code: "newest_suspect" }],
          },
        ],
      },
    });
    const accept = ["accept", "latest", "--reason", "spring cleaning"];
    expect(await bench.cli.run(accept)).toMatchObject({ code: 0 });
    expect((await bench.cli.json(["status"])).code).toBe(0);
  });

  test("a run that lacks something is missed, though an older point is good", async () => {
    await backedUp();
    bench.api.state.denied = ["auth_config_read"];
    expect((await bench.cli.run(["backup"])).code).toBe(3);
    bench.api.state.denied = [];
    const status = await bench.cli.json(["status"]);
    expect(status).toMatchObject({
      code: 21,
      document: {
        plans: [
          {
            points: {
              known: { newest: { outcome: "incomplete" }, newestGood: { outcome: "complete" } },
            },
            findings: [{ code: "newest_incomplete" }],
          },
        ],
      },
    });
  });

  test("a copy that lags behind is missed, one out of reach is unknown", async () => {
    await bench.policy("", withCopy);
    expect((await bench.cli.run(["init", "-d", "copy"])).code).toBe(0);
    await backedUp();
    const behind = await bench.cli.json(["status"]);
    expect(behind).toMatchObject({ code: 21 });
    expect(behind.document).toMatchObject({ plans: [{ findings: [{ code: "copy_behind" }] }] });
    expect((await bench.cli.run(["copy"])).code).toBe(0);
    expect((await bench.cli.json(["status"])).code).toBe(0);
    await rm(bench.cli.path("copy"), { recursive: true });
    const away = await bench.cli.json(["status"]);
    expect(away).toMatchObject({
      code: 3,
      document: { plans: [{ outcome: "unknown", findings: [], unknown: [{}] }] },
    });
  });

  test("a damaged snapshot file, a wrong password and a lost repository are unknown, never met", async () => {
    await backedUp();
    const [name = ""] = await readdir(bench.cli.path("repo/snapshots"));
    const file = join(bench.cli.path("repo/snapshots"), name);
    await backedUp();
    await chmod(file, 0o600);
    await writeFile(file, "no snapshot");
    const damaged = await bench.cli.json(["status"]);
    expect(damaged).toMatchObject({ code: 3, document: { plans: [{ outcome: "unknown" }] } });
    const wrong = await bench.cli.json(["status"], { env: { REPOSITORY_PASSWORD: "another" } });
    expect(wrong).toMatchObject({
      code: 3,
      document: { plans: [{ points: { unknown: expect.any(String) as unknown } }] },
    });
    await rm(bench.cli.path("repo"), { recursive: true });
    expect((await bench.cli.json(["status"])).code).toBe(3);
  });

  test("an expectation of the provider that is missed", async () => {
    await bench.policy("provider: { database: { expect: { one_of: [daily_backup] } } }");
    await backedUp();
    const status = await bench.cli.json(["status"]);
    expect(status).toMatchObject({
      code: 21,
      document: { providers: [{ watched: { findings: [{ code: "provider_nothing" }] } }] },
    });
  });

  test("is in the audit log, and shows no secret", async () => {
    await backedUp();
    const { stdout } = await bench.cli.run(["status", "--json"]);
    expect(stdout).not.toContain(bench.api.token);
    const log = await readFile(join(bench.cli.stateFolder, "shop/audit.jsonl"), "utf8");
    expect(log).toContain('"status"');
    expect(log).not.toContain(bench.api.token);
  });
});
