import { hash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { codeOf } from "../../src/objectstore/testing/index.ts";
import { loadPolicy, planProjectApply } from "../../src/operation/index.ts";
import type { OperationContext } from "../../src/operation/index.ts";
import type { JsonResult } from "../support/cli.ts";
import { createTestDatabase, failOnLeakedSessions, sharedCluster } from "../support/cluster.ts";
import type { TestDatabase } from "../support/cluster.ts";
import { startManagementApi } from "../support/management-api.ts";
import type { ManagementStandIn } from "../support/management-api.ts";
import { SECRETS } from "../support/management-api-project.ts";
import { operationContext } from "../support/operation-context.ts";
import { createSupabaseBench, PASSWORD } from "../support/supabase-bench.ts";
import type { SupabaseBench } from "../support/supabase-bench.ts";

const TARGET = "stagingstagingstagin";
const STRIPE = "sk_live_0815-4711";
/** In the places that the policy names. */
const PLACES = {
  KEPT_SMTP: SECRETS.smtp,
  KEPT_GOOGLE: SECRETS.google,
  KEPT_HOOK: SECRETS.hook,
  KEPT_STRIPE: STRIPE,
};
const OUTSIDE = [
  "outside:",
  "  AUTH_SMTP_PASS: { env: KEPT_SMTP }",
  "  AUTH_EXTERNAL_GOOGLE_SECRET: { env: KEPT_GOOGLE }",
  "  AUTH_HOOK_SEND_EMAIL_SECRETS: { env: KEPT_HOOK }",
  "  STRIPE_KEY: { env: KEPT_STRIPE }",
  "  JWT_SECRET: { env: KEPT_JWT }",
].join("\n");

// The program is started many times in each: on a slow machine that takes minutes.
vi.setConfig({ testTimeout: 600_000 });

let database: TestDatabase;
let bench: SupabaseBench;
let target: ManagementStandIn;
let targets = "";
beforeAll(async () => {
  database = await createTestDatabase({ script: "CREATE TABLE t AS SELECT 1 AS n;" });
});
afterAll(() => database[Symbol.asyncDispose]());
beforeEach(async () => {
  bench = await createSupabaseBench(database.url);
  target = await startManagementApi(TARGET);
  targets = `targets: { staging: { kind: supabase, project: ${TARGET}, connection: { env: DB_URL }, management_token: { env: SUPABASE_ACCESS_TOKEN }, management_api: "${target.address}" } }`;
  await bench.policy(`${targets}\n${OUTSIDE}`);
  await bench.init();
  const { answers } = bench.api.state;
  answers["/secrets"] = [{ name: "STRIPE_KEY", value: hash("sha256", STRIPE, "hex") }];
  makeFresh(target);
});
afterEach(async () => {
  await target[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
  expect(target.violations).toEqual([]);
  await failOnLeakedSessions(await sharedCluster());
});

/** A project as it is when it was just made. */
function makeFresh({ state }: ManagementStandIn): void {
  const { answers, sources } = state;
  Object.assign(answers["/config/auth"] as object, {
    site_url: "http://localhost:3000",
    smtp_host: null,
    smtp_user: null,
    smtp_pass: null,
    external_google_enabled: false,
    external_google_client_id: "",
    external_google_secret: null,
    hook_send_email_uri: null,
    hook_send_email_secrets: null,
    jwt_exp: 60,
    // What nobody set in the project that was backed up.
    sms_twilio_account_sid: "AC-left-over",
  });
  Object.assign(answers["/postgrest"] as object, { max_rows: 10, jwt_secret: "of the target" });
  Object.assign(answers["/config/storage"] as object, { fileSizeLimit: 1 });
  Object.assign(answers["/config/realtime"] as object, { private_only: true });
  answers["/config/database/postgres"] = { max_connections: 60, work_mem: "4MB" };
  answers["/ssl-enforcement"] = {
    currentConfig: { database: false },
    appliedSuccessfully: true,
  };
  answers["/network-restrictions"] = { entitlement: "allowed", status: "applied", config: {} };
  answers["/secrets"] = [];
  answers["/functions"] = [];
  delete sources["hello"];
}

async function backedUp(): Promise<void> {
  const { code } = await bench.cli.run(["backup"]);
  expect(code).toBe(0);
}

function apply(
  more: readonly string[] = [],
  env: Record<string, string> = PLACES,
): Promise<JsonResult> {
  const line = ["project", "apply", "latest", "--to", "staging", "--confirm", TARGET, ...more];
  return bench.cli.json(line, { env });
}

function writes(api: ManagementStandIn = target): readonly string[] {
  return api.requests
    .filter(({ method }) => method !== "GET")
    .map(({ method, path }) => `${method} ${path.replace(/^\/v1\/projects\/[a-z]+/, "")}`);
}

function contextOf(): OperationContext {
  const env: Record<string, string> = {
    ...PLACES,
    DB_URL: database.url,
    SUPABASE_ACCESS_TOKEN: target.token,
    REPOSITORY_PASSWORD: PASSWORD,
  };
  return { ...operationContext(bench.cli.path("state")), env: (name) => env[name] };
}

const ALL_WRITES = [
  "PATCH /config/auth",
  "PATCH /postgrest",
  "PATCH /config/storage",
  "PATCH /config/realtime",
  "PUT /config/database/postgres",
  "POST /secrets",
  "POST /functions/deploy",
  "POST /network-restrictions/apply",
  "PUT /ssl-enforcement",
];

describe("project apply", () => {
  test("makes a fresh project what the snapshot holds, each request once, and reads it back", async () => {
    await backedUp();
    const applied = await apply();
    expect(applied).toMatchObject({ code: 0, stderr: "" });
    expect(applied.document).toMatchObject({
      outcome: "complete",
      left: [],
      unread: [],
      plan: {
        from: bench.api.state.ref,
        to: { name: "staging", project: TARGET },
        byHand: [
          { name: "DATABASE_PASSWORD" },
          { name: "JWT_SECRET", place: "environment variable KEPT_JWT" },
          { name: "VAULT_ROOT_KEY" },
        ],
      },
    });
    // What could keep out whoever puts the rest back comes last.
    expect(writes()).toEqual(ALL_WRITES);
    expect(writes(bench.api)).toEqual([]);
    const [here, there] = [bench.api.state, target.state];
    for (const path of ["/config/auth", "/config/storage", "/config/realtime", "/secrets"])
      expect({ path, is: there.answers[path] }).toEqual({ path, is: here.answers[path] });
    expect(there.answers["/config/database/postgres"]).toEqual(
      here.answers["/config/database/postgres"],
    );
    expect(there.answers["/ssl-enforcement"]).toMatchObject({ currentConfig: { database: true } });
    expect(there.answers["/network-restrictions"]).toMatchObject({
      config: { dbAllowedCidrs: ["203.0.113.0/24"] },
    });
    expect(there.answers["/postgrest"]).toMatchObject({
      max_rows: 1000,
      jwt_secret: "of the target",
    });
    expect(there.sources["hello"]?.map(({ path, text }) => [path, text])).toEqual(
      here.sources["hello"]?.map(({ path, text }) => [path, text]),
    );
    // A second time there is nothing to do.
    const again = await apply();
    expect(again).toMatchObject({ code: 0, document: { plan: { settings: [], requests: [] } } });
    expect(writes()).toEqual(ALL_WRITES);
  });

  test("shows no secret, neither on the screen nor in the audit log, which knows of it before", async () => {
    await backedUp();
    const shown = await bench.cli.run(
      ["project", "apply", "latest", "--to", "staging", "--confirm", TARGET, "--verbose"],
      { env: PLACES },
    );
    expect(shown.code).toBe(0);
    expect(shown.stdout).toContain("(from the place of AUTH_SMTP_PASS)");
    const log = await readFile(join(bench.cli.stateFolder, "shop/audit.jsonl"), "utf8");
    expect(log).toContain('"step":"apply"');
    for (const secret of [...Object.values(PLACES), target.token]) {
      expect(shown.stdout + shown.stderr + log).not.toContain(secret);
    }
  });

  test("changes nothing with --dry-run, nor without the reference", async () => {
    await backedUp();
    const line = ["project", "apply", "latest", "--to", "staging"];
    const dry = await bench.cli.run([...line, "--dry-run"], { env: PLACES });
    expect(dry).toMatchObject({ code: 0 });
    expect(dry.stdout).toContain("  * auth.jwt_exp: 60 -> 3600");
    expect(dry.stdout).toContain('  - auth.sms_twilio_account_sid: "AC-left-over"');
    expect(dry.stdout).toContain('  + auth.smtp_host: null -> "mail.example"');
    expect(dry.stdout).toContain("  PATCH /config/auth: ");
    expect((await bench.cli.run(line, { env: PLACES })).code).toBe(2);
    const other = [...line, "--confirm", bench.api.state.ref];
    expect((await bench.cli.run(other, { env: PLACES })).code).toBe(2);
    expect(writes()).toEqual([]);
  });

  test("is incomplete where the API takes a setting and does not keep it", async () => {
    await backedUp();
    target.state.ignored = ["site_url", "STRIPE_KEY"];
    const applied = await apply();
    expect(applied).toMatchObject({
      code: 3,
      document: {
        outcome: "incomplete",
        left: [
          { service: "auth", setting: "site_url", to: "https://shop.example" },
          { service: "edge-secrets", setting: "STRIPE_KEY" },
        ],
      },
    });
    expect(writes()).toEqual(ALL_WRITES);
  });

  test("names what the plan or the token do not allow, and puts back the rest", async () => {
    await backedUp();
    target.fail("POST /network-restrictions/apply", { status: 402 });
    target.fail("PUT /config/database/postgres", { status: 400 });
    target.state.denied = ["storage_config_write"];
    const applied = await apply();
    expect(applied).toMatchObject({ code: 3, document: { outcome: "incomplete" } });
    expect(applied.document).toMatchObject({
      requests: expect.arrayContaining([
        expect.objectContaining({ service: "storage", code: "supabase.not_permitted" }),
        expect.objectContaining({ service: "postgres", code: "supabase.request_refused" }),
        expect.objectContaining({ service: "network", code: "supabase.plan_lacks_it" }),
        expect.objectContaining({ service: "ssl", outcome: "taken" }),
      ]) as unknown,
      left: [
        { service: "storage", setting: "fileSizeLimit" },
        { service: "postgres", setting: "statement_timeout" },
        { service: "postgres", setting: "work_mem", sign: "-" },
        { service: "network", setting: "dbAllowedCidrs" },
      ],
    });
  });

  test("waits where it is told to, goes on after a failure, and another run does what is left", async () => {
    await backedUp();
    target.fail("PATCH /config/auth", { status: 429, headers: { "retry-after": "1" } });
    target.fail("PATCH /postgrest", { status: 503 });
    target.fail("POST /functions/deploy", { instead: "drop" });
    const applied = await apply();
    expect(applied).toMatchObject({
      code: 3,
      document: {
        left: [{ service: "postgrest" }, { service: "functions", setting: "hello" }],
      },
    });
    const once = writes();
    expect(once.filter((one) => one === "PATCH /config/auth")).toHaveLength(2);
    expect(once.filter((one) => one === "PATCH /postgrest")).toHaveLength(1);
    const again = await apply();
    expect(again).toMatchObject({ code: 0, document: { outcome: "complete" } });
    expect(writes().slice(once.length)).toEqual(["PATCH /postgrest", "POST /functions/deploy"]);
  });

  test("believes what it reads back, and no lost answer", async () => {
    await backedUp();
    target.fail("PATCH /config/auth", { instead: "lose" });
    const applied = await apply();
    expect(applied).toMatchObject({ code: 0, document: { outcome: "complete", left: [] } });
    expect(applied.document).toMatchObject({
      requests: expect.arrayContaining([
        expect.objectContaining({ service: "auth", outcome: "failed" }),
      ]) as unknown,
    });
  });

  test("ends between two requests at Ctrl-C, says that what was set stays, and is taken up again", async () => {
    await backedUp();
    target.fail("PATCH /config/storage", { instead: "hang" });
    const line = ["project", "apply", "latest", "--to", "staging", "--confirm", TARGET];
    const running = bench.cli.start(line, { env: PLACES });
    while (!writes().includes("PATCH /config/storage")) await setTimeout(20);
    running.child.kill("SIGINT");
    const ended = await running.ended;
    expect(ended).toMatchObject({ code: 130 });
    expect(ended.stderr).toContain("What was set stays");
    const before = writes().length;
    expect(await apply()).toMatchObject({ code: 0, document: { outcome: "complete" } });
    expect(writes().slice(before)).toEqual(ALL_WRITES.slice(2));
  });

  test("is no success where it cannot be read back", async () => {
    await backedUp();
    const planned = await planProjectApply(contextOf(), {
      policy: await loadPolicy(bench.cli.path("sparekeep.yaml")),
      snapshot: "latest",
      to: "staging",
      onProgress: ({ step }) => {
        if (step === "apply") target.state.denied = ["realtime_config_read"];
      },
    });
    expect(await planned.execute()).toMatchObject({
      outcome: "incomplete",
      left: [{ service: "realtime", sign: "!" }],
      unread: [expect.stringContaining("realtime")],
    });
  });

  test("sends no secret that has no place, whose place is empty, or holds another one", async () => {
    await backedUp();
    await bench.policy(`${targets}\n${OUTSIDE.replace(/ {2}STRIPE_KEY.*\n/, "")}`);
    const { KEPT_GOOGLE: _gone, ...places } = PLACES;
    const applied = await apply([], { ...places, KEPT_SMTP: "another password" });
    expect(applied).toMatchObject({
      code: 3,
      document: {
        left: [
          {
            setting: "external_google_secret",
            reason: expect.stringContaining("not set") as unknown,
          },
          { setting: "smtp_pass", reason: expect.stringContaining("another one") as unknown },
          { setting: "STRIPE_KEY", reason: expect.stringContaining("no place") as unknown },
        ],
      },
    });
    expect(target.state.answers["/config/auth"]).toMatchObject({
      smtp_pass: null,
      smtp_host: "mail.example",
      hook_send_email_secrets: SECRETS.hook,
    });
    expect(writes()).not.toContain("POST /secrets");
  });

  test("writes nothing to a part that it cannot read, and removes nothing that is not in the snapshot", async () => {
    await backedUp();
    target.state.denied = ["auth_config_read"];
    target.state.answers["/functions"] = [
      {
        id: "f",
        slug: "later",
        name: "later",
        status: "ACTIVE",
        version: 1,
        created_at: 1,
        updated_at: 1,
      },
    ];
    target.state.sources["later"] = [{ path: "index.ts", text: "later" }];
    const applied = await apply();
    expect(applied.code).toBe(3);
    expect(applied.document).toMatchObject({
      left: expect.arrayContaining([
        expect.objectContaining({ service: "auth", sign: "!" }),
        expect.objectContaining({ service: "functions", setting: "later", sign: "!" }),
      ]) as unknown,
      unread: expect.arrayContaining([expect.stringContaining("auth")]) as unknown,
    });
    expect(writes()).not.toContain("PATCH /config/auth");
    expect(target.state.sources).toHaveProperty("later");
  });

  test("takes no hostile name for a path, and shows none as it is", async () => {
    const { answers, sources } = bench.api.state;
    Object.assign(answers["/config/auth"] as object, { site_url: "https://x/\u001B[2J" });
    sources["hello"] = [
      { path: "source/index.ts", text: "ok" },
      { path: 'a"\r\nX: y', text: "evil" },
    ].map(({ path, text }) => ({ path: path.replace("\r\n", "\u0001"), text }));
    await backedUp();
    const line = ["project", "apply", "latest", "--to", "staging", "--confirm", TARGET];
    const applied = await bench.cli.run(line, { env: PLACES });
    expect(applied.code).toBe(3);
    expect(applied.stdout).toContain("cannot be sent as it is");
    expect(applied.stdout).not.toContain("\u001B");
    expect(writes()).not.toContain("POST /functions/deploy");
    expect(target.state.answers["/config/auth"]).toMatchObject({ site_url: "https://x/\u001B[2J" });
  });
});

describe("the project that was backed up", () => {
  test("is refused under any name, and taken back to its own settings where that is asked for", async () => {
    await backedUp();
    const { ref, answers } = bench.api.state;
    const alias = targets.replace(TARGET, ref).replace(target.address, bench.api.address);
    await bench.policy(`${alias}\n${OUTSIDE}`);
    for (const to of ["staging", "database"]) {
      const refused = await bench.cli.json(["project", "apply", "latest", "--to", to]);
      expect(refused).toMatchObject({
        code: 2,
        document: { error: { code: "operation.project_is_source" } },
      });
    }
    Object.assign(answers["/config/auth"] as object, { jwt_exp: 60, disable_signup: true });
    const same = ["project", "apply", "latest", "--to", "database", "--same-project"];
    const applied = await bench.cli.json([...same, "--confirm", ref]);
    expect(applied).toMatchObject({
      code: 0,
      document: { outcome: "complete", plan: { byHand: [] } },
    });
    expect(writes(bench.api)).toEqual(["PATCH /config/auth"]);
    expect(answers["/config/auth"]).toMatchObject({ jwt_exp: 3600, disable_signup: null });
  });

  test("is no target for the settings of another", async () => {
    await backedUp();
    // The source now names another project than the one that the snapshot is of.
    await bench.policy(`${targets}\n${OUTSIDE}`, (text) =>
      text.replace(bench.api.state.ref, TARGET),
    );
    const refused = await bench.cli.json([
      "project",
      "apply",
      "latest",
      "--to",
      "staging",
      "--same-project",
    ]);
    expect(refused.document).toMatchObject({ error: { code: "operation.project_is_source" } });
  });
});

describe("a plan", () => {
  test("is carried out once, and not where the project changed since it was shown", async () => {
    await backedUp();
    const context = contextOf();
    const policy = await loadPolicy(bench.cli.path("sparekeep.yaml"));
    const options = { policy, snapshot: "latest", to: "staging" };
    const stale = await planProjectApply(context, options);
    Object.assign(target.state.answers["/config/auth"] as object, { jwt_exp: 61 });
    expect(await codeOf(() => stale.execute())).toBe("operation.project_plan_outdated");
    expect(writes()).toEqual([]);
    const planned = await planProjectApply(context, options);
    expect(await planned.execute()).toMatchObject({ outcome: "complete" });
    expect(await codeOf(() => planned.execute())).toBe("operation.project_plan_outdated");
    expect(writes()).toEqual(ALL_WRITES);
  });

  test("of a point without a configuration, or of a target without a token, is none", async () => {
    await bench.policy(
      targets.replace(/, management_token: \{[^}]*\}, management_api: "[^"]*"/, ""),
    );
    await backedUp();
    const none = await apply();
    expect(none.document).toMatchObject({ error: { code: "operation.no_management_token" } });
    await bench.policy(targets, (text) => text.replace("capture: everything", "capture: schema"));
    const { document } = await bench.cli.json(["backup"]);
    const id = String(document["snapshot"]);
    const empty = await bench.cli.json(["project", "apply", id, "--to", "staging"]);
    expect(empty.document).toMatchObject({ error: { code: "operation.no_project_point" } });
  });
});
