import { describe, expect, test } from "vitest";
import type { AppError } from "../../src/kernel/index.ts";
import { planRestore } from "../../src/restore/index.ts";
import type { RestoreOptions } from "../../src/restore/index.ts";
import { createTestDatabase, startCluster } from "../support/cluster.ts";
import type { Cluster } from "../support/cluster.ts";
import { differencesBetween } from "../support/compare.ts";
import { captureForRestore, restoreOptions } from "../support/restore.ts";
import type { Made } from "../support/restore.ts";

const SCRIPT = `
CREATE ROLE app LOGIN CREATEROLE;
CREATE ROLE reader;
GRANT reader TO app;
CREATE SCHEMA app AUTHORIZATION app;
SET ROLE app;
CREATE TYPE app.mood AS ENUM ('sad', 'ok');
CREATE TABLE app.parts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, m app.mood DEFAULT 'ok');
CREATE TABLE app.offers (id int PRIMARY KEY, part bigint REFERENCES app.parts, body text);
INSERT INTO app.parts (name) SELECT repeat('part ' || n, 20) FROM generate_series(1, 6000) AS n;
INSERT INTO app.offers SELECT n, n, repeat('x', 50) FROM generate_series(1, 3000) AS n;
CREATE INDEX ON app.parts (name);
CREATE INDEX ON app.offers (part);
CREATE VIEW app.v AS SELECT * FROM app.parts;
CREATE MATERIALIZED VIEW app.mv AS SELECT count(*) FROM app.offers;
GRANT USAGE ON SCHEMA app TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA app TO reader;
RESET ROLE;
SELECT lo_from_bytea(4711, 'hello');
ALTER LARGE OBJECT 4711 OWNER TO app;
`;

const STEPS = ["prepare", "schema", "tables", "indexes", "verify", "finish"] as const;

async function stopAt(
  made: Made,
  target: Cluster,
  step: string,
  act: (controller: AbortController) => Promise<void> | void,
): Promise<AppError> {
  const controller = new AbortController();
  let seen = 0;
  const plan = await planRestore(
    restoreOptions(made, target.url("back"), {
      signal: controller.signal,
      onProgress: (progress) => {
        if (progress.step !== step) return;
        seen += 1;
        // The second sign of these is inside them.
        if (seen === (step === "tables" || step === "verify" ? 2 : 1)) void act(controller);
      },
    }),
  );
  const error: unknown = await plan.execute().then(
    () => new Error("it was not stopped"),
    (thrown: unknown) => thrown,
  );
  return error as AppError;
}

async function finishAndCompare(made: Made, source: string, target: Cluster): Promise<void> {
  const plan = await planRestore(restoreOptions(made, target.url("back")));
  const result = await plan.execute();
  expect(result.issues).toEqual([]);
  const ignoreRoles = [target.superuser];
  expect(
    await differencesBetween(
      { url: source, ignoreRoles: [...ignoreRoles, "source_boot"] },
      { url: target.url("back"), ignoreRoles: [...ignoreRoles, "source_boot"] },
    ),
  ).toEqual([]);
  const left = await target.query(
    "SELECT rolname FROM pg_roles WHERE rolname LIKE 'sparekeep%' UNION ALL SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'sparekeep%'",
  );
  expect(left).toEqual([]);
}

describe("an interrupted restore", () => {
  test("goes on where it was, whatever step Ctrl-C met", { timeout: 240_000 }, async () => {
    await using sourceCluster = await startCluster({ superuser: "source_boot" });
    await using source = await createTestDatabase({
      cluster: sourceCluster,
      script: SCRIPT,
      name: "app",
    });
    const made = await captureForRestore(source.url);
    const met: string[] = [];
    for (const step of STEPS) {
      await using target = await startCluster();
      const error = await stopAt(made, target, step, (controller) => controller.abort());
      expect(error.kind, `${step}: ${error.message}`).toBe("cancelled");
      const plan = await planRestore(restoreOptions(made, target.url("back")));
      if (plan.resumes) met.push(step);
      await finishAndCompare(made, source.url, target);
    }
    expect(met).toEqual(["schema", "tables", "indexes", "verify", "finish"]);
  });

  test("goes on after the server went away in the middle", async () => {
    await using sourceCluster = await startCluster({ superuser: "source_boot" });
    await using source = await createTestDatabase({
      cluster: sourceCluster,
      script: SCRIPT,
      name: "app",
    });
    const made = await captureForRestore(source.url);
    await using target = await startCluster();
    let stopped: Promise<void> | undefined;
    const error = await stopAt(made, target, "tables", () => {
      stopped ??= target.stop("immediate");
    });
    await stopped;
    expect(error.kind).toBe("unavailable");
    await target.start();
    await finishAndCompare(made, source.url, target);
  });

  test("does every piece of work once", async () => {
    await using sourceCluster = await startCluster({ superuser: "source_boot" });
    await using source = await createTestDatabase({
      cluster: sourceCluster,
      script: SCRIPT,
      name: "app",
    });
    const made = await captureForRestore(source.url);
    await using target = await startCluster();
    await stopAt(made, target, "indexes", (controller) => controller.abort());
    const read: string[] = [];
    const reader = made.files.reader({ onRead: (path) => read.push(path) });
    const again: Partial<RestoreOptions> = { reader };
    const plan = await planRestore(restoreOptions(made, target.url("back"), again));
    expect(plan.steps[0]).toContain("resume");
    const result = await plan.execute();
    expect(result.outcome).toBe("complete");
    expect(read.filter((path) => path.includes("/tables/"))).toEqual([]);
  });

  test("is nobody else's: another snapshot finds the database not empty", async () => {
    await using sourceCluster = await startCluster({ superuser: "source_boot" });
    await using source = await createTestDatabase({
      cluster: sourceCluster,
      script: SCRIPT,
      name: "app",
    });
    const made = await captureForRestore(source.url);
    await using target = await startCluster();
    await stopAt(made, target, "tables", (controller) => controller.abort());
    const other = {
      ...restoreOptions(made, target.url("back"), { create: false }),
      snapshot: { ...made.files.snapshot, id: "6".repeat(64) as typeof made.files.snapshot.id },
    };
    await expect(planRestore(other)).rejects.toThrow(
      expect.objectContaining({ code: "restore.target_not_empty" }),
    );
    // In its place, with the roles that the first one left bare.
    await target.dropDatabase("back");
    const result = await (await planRestore({ ...other, create: true })).execute();
    expect(result.issues).toEqual([]);
    expect(
      await target.query("SELECT rolcanlogin, rolcreaterole FROM pg_roles WHERE rolname = 'app'"),
    ).toEqual([{ rolcanlogin: true, rolcreaterole: true }]);
  });
});
