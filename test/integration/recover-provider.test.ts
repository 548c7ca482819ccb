import { spawn } from "node:child_process";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { AppError, Secret, systemClock } from "../../src/kernel/index.ts";
import type { Clock } from "../../src/kernel/index.ts";
import {
  followProviderRecovery,
  loadPolicy,
  planProviderRecovery,
} from "../../src/operation/index.ts";
import type { OperationContext, PlannedProviderRecovery } from "../../src/operation/index.ts";
import { createFsStore } from "../../src/objectstore/index.ts";
import { listGaps, openRepository } from "../../src/repository/index.ts";
import { startCluster } from "../support/cluster.ts";
import type { Cluster } from "../support/cluster.ts";
import { operationContext } from "../support/operation-context.ts";
import { createSupabaseBench, PASSWORD } from "../support/supabase-bench.ts";
import type { SupabaseBench } from "../support/supabase-bench.ts";

let cluster: Cluster;
let bench: SupabaseBench;
beforeAll(async () => {
  cluster = await startCluster();
  await cluster.createDatabase("app");
  await cluster.psql("CREATE TABLE t (n int); CREATE PUBLICATION p FOR ALL TABLES;", "app");
});
afterAll(() => cluster[Symbol.asyncDispose]());

const TO = new Date(Math.floor(Date.now() / 1000) * 1000 - 3_600_000);
const RESTORE = "POST /database/backups/restore-pitr";

beforeEach(async () => {
  bench = await createSupabaseBench(cluster.url("postgres"));
  await bench.init();
  const nowS = Math.floor(Date.now() / 1000);
  bench.api.state.answers["/database/backups"] = {
    region: "eu-central-1",
    walg_enabled: true,
    pitr_enabled: true,
    backups: [],
    physical_backup_data: {
      earliest_physical_backup_date_unix: nowS - 7 * 86_400,
      latest_physical_backup_date_unix: nowS - 60,
    },
  };
});
afterEach(async () => {
  for (const { slot_name: slot } of await slots())
    await cluster.query("SELECT pg_drop_replication_slot($1)", { values: [slot] });
  await bench[Symbol.asyncDispose]();
});

function slots(): Promise<{ slot_name: string }[]> {
  return cluster.query("SELECT slot_name FROM pg_replication_slots ORDER BY 1");
}

/** In another database than the connection's: the server's slots all stand in the way. */
async function makeSlot(name: string): Promise<void> {
  await cluster.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", {
    database: "app",
    values: [name],
  });
}

/** Its end waits until the server has let go of the slot. */
async function startReader(
  slot: string,
): Promise<AsyncDisposable & { readonly serverPid: number }> {
  const reader = spawn(
    join(cluster.programs.folder, "pg_recvlogical"),
    [
      "-d",
      cluster.url("app"),
      `--slot=${slot}`,
      "--start",
      "-f",
      "-",
      "-o",
      "proto_version=1",
      "-o",
      "publication_names=p",
    ],
    { stdio: "ignore" },
  );
  const serverPid = async (): Promise<number | undefined> => {
    const [row] = await cluster.query<{ pid: number | null }>(
      "SELECT pg_sleep(0.1), active_pid AS pid FROM pg_replication_slots",
    );
    return row?.pid ?? undefined;
  };
  let pid: number | undefined;
  for (let i = 0; i < 300 && pid === undefined; i += 1) pid = await serverPid();
  if (pid === undefined) throw new Error("the reader does not read");
  return {
    serverPid: pid,
    [Symbol.asyncDispose]: async () => {
      reader.kill("SIGKILL");
      for (let i = 0; i < 300 && (await serverPid()) !== undefined; i += 1);
    },
  };
}

async function gaps() {
  const repository = await openRepository(
    {
      store: createFsStore(bench.cli.path("repo"), { random: (size) => new Uint8Array(size) }),
      clock: systemClock,
      random: (size) => new Uint8Array(size),
      log: operationContext("/nowhere").log,
    },
    { password: new Secret(PASSWORD) },
  );
  return listGaps(repository);
}

/** Waits of ten seconds take no time, and pass on the clock all the same. */
function fastClock(): Clock {
  let aheadMs = 0;
  return {
    ...systemClock,
    monotonicMs: () => systemClock.monotonicMs() + aheadMs,
    sleep: (ms, signal) => {
      aheadMs += ms;
      return systemClock.sleep(Math.min(ms, 5), signal);
    },
  };
}

function context(changes: Partial<OperationContext> = {}): OperationContext {
  const env: Readonly<Record<string, string>> = {
    DB_URL: cluster.url("postgres"),
    SUPABASE_ACCESS_TOKEN: bench.api.token,
    REPOSITORY_PASSWORD: PASSWORD,
  };
  return {
    ...operationContext(bench.cli.path("state")),
    clock: fastClock(),
    env: (name) => env[name],
    ...changes,
  };
}

async function plan(
  changes: Partial<OperationContext> = {},
  to = TO,
): Promise<PlannedProviderRecovery> {
  const policy = await loadPolicy(bench.cli.path("sparekeep.yaml"));
  return planProviderRecovery(context(changes), { policy, source: "database", to });
}

async function errorOf(work: Promise<unknown>): Promise<AppError> {
  try {
    await work;
  } catch (thrown) {
    if (thrown instanceof AppError) return thrown;
    throw thrown;
  }
  throw new Error("nothing was thrown");
}

const HEALTHY = ["ACTIVE_HEALTHY", "ACTIVE_HEALTHY"];

describe("sparekeep recover --provider", () => {
  test("shows, asks for the reference, drops the slots, restores, follows, and records the gap", async () => {
    const { cli, api } = bench;
    await makeSlot("etl");
    await makeSlot("sparekeep_shop");
    const line = [
      "recover",
      "--provider",
      "database",
      "--to",
      TO.toISOString().replace(/\.\d+/, ""),
    ];
    const dry = await cli.run([...line, "--dry-run"]);
    expect(dry).toMatchObject({ code: 0, stderr: "" });
    for (const text of [
      `Take project ${api.state.ref} (shop, eu-central-1) back to`,
      "lost: everything written from",
      "drop logical slot etl (pgoutput, database app)",
      "drop logical slot sparekeep_shop",
      "record the gap beside local",
      "does not say that it leads to this project",
    ]) {
      expect(dry.stdout).toContain(text);
    }
    const refused = [line, [...line, "--confirm", "tsrqponmlkjihgfedcba"], [...line, "--yes"]];
    for (const each of refused) expect((await cli.run(each)).code).not.toBe(0);
    expect(api.state.restoresAsked).toEqual([]);
    expect(await slots()).toHaveLength(2);
    expect(await gaps()).toEqual([]);

    api.state.statuses = [...HEALTHY, "RESTORING", "ACTIVE_HEALTHY"];
    const run = await cli.run([...line, "--confirm", api.state.ref]);
    expect(run.code).toBe(0);
    expect(run.stdout).toContain("complete: project");
    expect(run.stderr).toContain("follow");
    expect(api.state.restoresAsked).toEqual([TO.getTime() / 1000]);
    expect(await slots()).toEqual([]);
    expect(await gaps()).toMatchObject([
      { state: "ended", source: "database", from: TO, slots: ["etl", "sparekeep_shop"] },
    ]);
  });

  test.for([
    ["no time", ["--to", "yesterday"], 2],
    ["neither", [], 2],
    ["before the window", ["--to", "2020-01-01 00:00"], 2],
    ["a source that is none", ["--provider", "other", "--follow"], 2],
  ] as const)("%s", async ([, more, code]) => {
    const run = await bench.cli.run(["recover", "--provider", "database", ...more]);
    expect(run.code).toBe(code);
    expect(run.stderr).toContain("fix:");
  });

  test("Ctrl-C while it is followed undoes nothing, and says so", async () => {
    const { cli, api } = bench;
    api.state.statuses = [...HEALTHY, "RESTORING"];
    const running = cli.start([
      "recover",
      "--provider",
      "database",
      "--to",
      TO.toISOString().replace(/\.\d+/, ""),
      "--confirm",
      api.state.ref,
    ]);
    await running.said("follow");
    running.child.kill("SIGINT");
    const ended = await running.ended;
    expect(ended.code).toBe(130);
    expect(ended.stderr).toContain("goes on, and this does not undo it");
    expect(ended.stderr).toContain("--follow");
    expect(await gaps()).toMatchObject([{ state: "begun" }]);
    api.state.statuses = ["RESTORING", "ACTIVE_HEALTHY"];
    const followed = await cli.run(["recover", "--provider", "database", "--follow"]);
    expect(followed).toMatchObject({ code: 0 });
    expect(api.state.restoresAsked).toHaveLength(1);
  });
});

describe("a plan is refused", () => {
  test.for([
    ["operation.provider_no_window", { pitr_enabled: false }],
    ["operation.provider_no_window", { physical_backup_data: {} }],
  ] as const)("with %s for %o", async ([code, change]) => {
    Object.assign(bench.api.state.answers["/database/backups"] as object, change);
    expect((await errorOf(plan())).code).toBe(code);
  });

  test("for a moment outside the window, or that has not come", async () => {
    expect((await errorOf(plan({}, new Date(0)))).code).toBe("operation.provider_outside_window");
    const tomorrow = new Date(Date.now() + 86_400_000);
    expect((await errorOf(plan({}, tomorrow))).code).toBe("operation.provider_outside_window");
  });

  test("for a project that is busy", async () => {
    bench.api.state.statuses = ["RESTORING"];
    expect((await errorOf(plan())).code).toBe("operation.provider_busy");
  });

  test("where the connection leads to another project", async () => {
    const env = (name: string): string | undefined =>
      name === "DB_URL"
        ? "postgresql://postgres:x@db.tsrqponmlkjihgfedcba.supabase.co:5432/postgres"
        : context().env(name);
    expect((await errorOf(plan({ env }))).code).toBe("operation.provider_other_project");
  });
});

describe("a plan is carried out", () => {
  test("once", async () => {
    bench.api.state.statuses = [...HEALTHY, "RESTORING", "ACTIVE_HEALTHY"];
    const planned = await plan();
    await planned.execute();
    expect((await errorOf(planned.execute())).code).toBe("operation.provider_plan_spent");
    expect(bench.api.state.restoresAsked).toHaveLength(1);
  });

  test("not where another slot appeared since it was shown", async () => {
    const planned = await plan();
    await makeSlot("late");
    expect((await errorOf(planned.execute())).code).toBe("operation.provider_plan_stale");
    expect(bench.api.state.restoresAsked).toEqual([]);
    expect(await slots()).toHaveLength(1);
  });

  test("where a reader holds the slot and comes back", async () => {
    await makeSlot("held");
    await using _reader = await startReader("held");
    bench.api.state.statuses = [...HEALTHY, "RESTORING", "ACTIVE_HEALTHY"];
    const planned = await plan();
    expect(planned.preview.slots).toMatchObject([
      { name: "held", reader: { application: "pg_recvlogical" } },
    ]);
    expect(await planned.execute()).toMatchObject({ slotsDropped: ["held"] });
    expect(await slots()).toEqual([]);
  });

  test("not where a reader never lets go: nothing is asked of the provider", async () => {
    await makeSlot("held");
    await using reader = await startReader("held");
    const planned = await plan();
    process.kill(reader.serverPid, "SIGSTOP");
    try {
      const error = await errorOf(planned.execute());
      expect(error.code).toBe("source.slot_in_use");
      expect(bench.api.state.restoresAsked).toEqual([]);
    } finally {
      process.kill(reader.serverPid, "SIGCONT");
    }
  });

  test("although the answer to the one request got lost", async () => {
    bench.api.state.statuses = [...HEALTHY, "ACTIVE_HEALTHY", "RESTORING", "ACTIVE_HEALTHY"];
    bench.api.fail(RESTORE, { instead: "lose" });
    expect(await (await plan()).execute()).toMatchObject({ outcome: "complete" });
    expect(bench.api.state.restoresAsked).toHaveLength(1);
  });

  test("and is not called done where nobody saw it restoring", async () => {
    bench.api.fail(RESTORE, { status: 500 });
    const error = await errorOf((await plan()).execute());
    expect(error.code).toBe("operation.provider_restore_not_seen");
    expect(await gaps()).toMatchObject([{ state: "begun" }]);
  });

  test("and fails as the provider says", async () => {
    bench.api.state.statuses = [...HEALTHY, "RESTORING", "RESTORE_FAILED"];
    const error = await errorOf((await plan()).execute());
    expect(error.code).toBe("operation.provider_restore_failed");
  });

  test("and where the provider refuses, says what was done before", async () => {
    await makeSlot("etl");
    bench.api.fail(RESTORE, { status: 403 });
    const error = await errorOf((await plan()).execute());
    expect(error).toMatchObject({ code: "supabase.not_permitted" });
    expect(error.message).toContain("these slots were dropped: etl");
    expect(await gaps()).toMatchObject([{ state: "refused" }]);
  });

  test("over an API that does not answer for a while", async () => {
    bench.api.state.statuses = [...HEALTHY, "RESTORING", "ACTIVE_HEALTHY"];
    const said: (string | undefined)[] = [];
    const policy = await loadPolicy(bench.cli.path("sparekeep.yaml"));
    const planned = await planProviderRecovery(context(), {
      policy,
      source: "database",
      to: TO,
      onProgress: ({ step, current }) => {
        said.push(current);
        if (step === "restore")
          bench.api.fail("GET ", ...Array.from({ length: 30 }, () => ({ status: 503 })));
      },
    });
    expect(await planned.execute()).toMatchObject({ outcome: "complete" });
    expect(said).toContain("no answer");
  });

  test("with a database out of reach: no slot is known, and none dropped", async () => {
    await makeSlot("etl");
    bench.api.state.statuses = [...HEALTHY, "RESTORING", "ACTIVE_HEALTHY"];
    const env = (name: string): string | undefined =>
      name === "DB_URL" ? "postgresql://u:p@127.0.0.1:1/d" : context().env(name);
    const planned = await plan({ env });
    expect(planned.preview).toMatchObject({
      slots: [],
      slotsUnknown: expect.any(String) as unknown,
    });
    expect(await planned.execute()).toMatchObject({ outcome: "complete", slotsDropped: [] });
    expect(await slots()).toHaveLength(1);
  });

  test("with a repository out of reach it is incomplete, and done", async () => {
    bench.api.state.statuses = [...HEALTHY, "RESTORING", "ACTIVE_HEALTHY"];
    await bench.policy("", (text) => text.replace("./repo", "./elsewhere"));
    const result = await (await plan()).execute();
    expect(result).toMatchObject({
      outcome: "incomplete",
      gapNotRecordedIn: [{ destination: "local" }],
    });
  });

  test("until it is told to stop", async () => {
    bench.api.state.statuses = [...HEALTHY, "RESTORING"];
    const controller = new AbortController();
    const policy = await loadPolicy(bench.cli.path("sparekeep.yaml"));
    const planned = await planProviderRecovery(context({ signal: controller.signal }), {
      policy,
      source: "database",
      to: TO,
      onProgress: ({ current }) => {
        if (current === "RESTORING") controller.abort();
      },
    });
    const error = await errorOf(planned.execute());
    expect(error).toMatchObject({ kind: "cancelled" });
    expect(error.hint).toContain("--follow");
  });
});

test("following where nothing restores says so", async () => {
  const policy = await loadPolicy(bench.cli.path("sparekeep.yaml"));
  const error = await errorOf(followProviderRecovery(context(), { policy, source: "database" }));
  expect(error.code).toBe("operation.provider_restore_not_seen");
});
