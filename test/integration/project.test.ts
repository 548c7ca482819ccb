import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { collectBytes, Secret, silentLog, systemClock } from "../../src/kernel/index.ts";
import { createFsStore } from "../../src/objectstore/index.ts";
import { openRepository } from "../../src/repository/index.ts";
import { createTestDatabase, failOnLeakedSessions, sharedCluster } from "../support/cluster.ts";
import type { TestDatabase } from "../support/cluster.ts";
import { AUTH_FIELDS } from "../support/management-api-description.ts";
import { SECRETS } from "../support/management-api-project.ts";
import { createSupabaseBench, PASSWORD } from "../support/supabase-bench.ts";
import type { SupabaseBench } from "../support/supabase-bench.ts";

let database: TestDatabase;
let bench: SupabaseBench;
beforeAll(async () => {
  database = await createTestDatabase({ script: "CREATE TABLE t AS SELECT 1 AS n;" });
});
afterAll(() => database[Symbol.asyncDispose]());
beforeEach(async () => {
  bench = await createSupabaseBench(database.url);
  await bench.init();
});
afterEach(async () => {
  await bench[Symbol.asyncDispose]();
  await failOnLeakedSessions(await sharedCluster());
});

async function dumped(path: string): Promise<unknown> {
  const { stdout, stderr, code } = await bench.cli.run(["dump", "latest", path]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
}

/** Every file of the newest point but the database's, by its path. */
async function storedFiles(): Promise<ReadonlyMap<string, string>> {
  const random = (size: number): Uint8Array => new Uint8Array(size);
  const store = createFsStore(bench.cli.path("repo"), { random });
  const repository = await openRepository(
    { store, random, clock: systemClock, log: silentLog },
    { password: new Secret(PASSWORD) },
  );
  const reader = await repository.acquireReader();
  const snapshot = await repository.resolveSnapshot("latest");
  const found = new Map<string, string>();
  for await (const entry of reader.entries(snapshot, { recursive: true })) {
    const path = entry.path.map((part) => Buffer.from(part).toString()).join("/");
    if (entry.type !== "file" || path.startsWith("database/")) continue;
    found.set(path, Buffer.from(await collectBytes(reader.read(entry))).toString());
  }
  return found;
}

const ALL_OUTSIDE = [
  ["AUTH_EXTERNAL_GOOGLE_SECRET", "AUTH_HOOK_SEND_EMAIL_SECRETS", "AUTH_SMTP_PASS"],
  ["DATABASE_PASSWORD", "JWT_SECRET", "STRIPE_KEY", "VAULT_ROOT_KEY"],
].flat();

describe("a backup of a project", () => {
  test("holds its configuration and sources, and no secret; each secret without a place is a finding", async () => {
    const run = await bench.cli.json(["backup"]);
    expect(run).toMatchObject({ code: 0, stderr: "" });
    expect(run.document).toMatchObject({
      outcome: "complete",
      project: {
        functions: 1,
        findings: ALL_OUTSIDE.map((object) => ({ code: "secret_without_place", object })),
      },
    });
    const stored = await storedFiles();
    expect([...stored.keys()]).toEqual(
      expect.arrayContaining([
        "project/auth.json",
        "project/functions/hello/source/index.ts",
        "project/functions/hello/__up__/_shared/cors.ts",
      ]),
    );
    const of = (path: string): unknown => JSON.parse(stored.get(path) ?? "");
    const auth = of("project/auth.json");
    expect(auth).toMatchObject({
      smtp_host: "mail.example",
      smtp_pass: { sealed: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown },
      external_google_client_id: "42.apps",
      hook_send_email_uri: "https://hooks.example/mail",
    });
    expect(of("project/postgrest.json")).toMatchObject({ db_schema: "public" });
    expect(of("project/project.json")).toMatchObject({ region: "eu-central-1" });
    expect(of("project/addons.json")).toEqual([{ type: "compute_instance", variant: "ci_small" }]);
    const manifest = of("manifest.json");
    expect(manifest).toMatchObject({
      project: {
        api: "Supabase API (v1) 1.0.0",
        absent: [{ name: "auth-sso-providers", reason: "SAML 2.0 is not enabled" }],
      },
    });
    const text = [...stored.values(), run.stdout].join("\n");
    for (const secret of [...Object.values(SECRETS), bench.api.token]) {
      expect(text).not.toContain(secret);
    }
    const state = await filesBelow(bench.cli.stateFolder);
    for (const file of state) expect(await readFile(file, "utf8")).not.toContain(bench.api.token);
  });

  test("finds the places that the policy names", async () => {
    const names = ALL_OUTSIDE.map((name) => `${name}: { env: KEPT_${name} }`).join(", ");
    await bench.policy(`outside: { ${names} }`);
    const run = await bench.cli.json(["backup"]);
    expect(run.document).toMatchObject({ project: { findings: [] } });
    expect(await dumped("manifest.json")).toMatchObject({
      project: {
        notGiven: expect.arrayContaining([
          expect.objectContaining({
            name: "STRIPE_KEY",
            place: "environment variable KEPT_STRIPE_KEY",
          }),
        ]) as unknown,
      },
    });
  });

  test("is incomplete where the token may not read a part, and the database is there all the same", async () => {
    bench.api.state.denied = ["auth_config_read", "organization_admin_read"];
    const run = await bench.cli.json(["backup"]);
    expect(run.code).toBe(3);
    expect(run.document).toMatchObject({
      outcome: "incomplete",
      tables: 1,
      issues: [
        { code: "project_unreadable", object: "project configuration: organization" },
        { object: "project configuration: auth" },
        { object: "project configuration: auth-sso-providers" },
        { object: "project configuration: auth-third-party" },
      ],
    });
  });

  test("asks no further where the token is refused", async () => {
    await bench.policy("", (text) => text.replace("SUPABASE_ACCESS_TOKEN", "OTHER_TOKEN"));
    const run = await bench.cli.run(["backup"], { env: { OTHER_TOKEN: "sbp_revoked" } });
    expect(run.code).toBe(3);
    expect(run.stdout).toContain("project and whatever follows it");
    expect(run.stdout).toContain("complete: snapshot");
    expect(bench.api.requests).toHaveLength(1);
  });

  test("of kind: supabase without a token is the database alone", async () => {
    await bench.policy("", (text) =>
      text.replace(/, management_token: [^}]+\}, management_api: "[^"]+"/, ""),
    );
    const run = await bench.cli.json(["backup"]);
    expect(run.document).not.toHaveProperty("project");
    expect(bench.api.requests).toEqual([]);
    const diff = await bench.cli.json(["project", "diff"]);
    expect(diff.document).toMatchObject({ error: { code: "operation.no_management_token" } });
  });
});

describe("project diff", () => {
  test("before there is a point", async () => {
    const diff = await bench.cli.json(["project", "diff"]);
    expect(diff.code).toBe(1);
    expect(diff.document).toMatchObject({ error: { code: "operation.no_project_point" } });
  });

  test("says nothing of what is the same, and all of what is not", async () => {
    expect((await bench.cli.run(["backup"])).code).toBe(0);
    const same = await bench.cli.run(["project", "diff"]);
    expect(same).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("same: 0 changes") as unknown,
    });

    const { answers, sources, project } = bench.api.state;
    const auth = answers["/config/auth"];
    Object.assign(auth as object, { smtp_pass: "another", jwt_exp: 60, site_url: "\u001B[2J" });
    answers["/network-restrictions"] = { entitlement: "allowed", status: "applied", config: {} };
    sources["hello"] = [{ path: "source/index.ts", text: "changed" }];
    answers["/secrets"] = [];
    project["name"] = "shop";
    bench.api.state.statuses = ["RESIZING"];
    const drifted = await bench.cli.json(["project", "diff"]);
    expect(drifted.code).toBe(0);
    expect(drifted.document).toMatchObject({
      outcome: "drifted",
      issues: [],
      changes: [
        { document: "auth", path: ".jwt_exp", before: 3600, after: 60 },
        { document: "auth", path: ".site_url" },
        { document: "auth", path: ".smtp_pass", change: "changed" },
        { document: "edge-secrets", path: "[0]", change: "removed" },
        { document: "edge-secrets", path: "[1]", change: "removed" },
        { document: "network", path: ".config.dbAllowedCidrs", change: "removed" },
        { document: "network", path: ".config.dbAllowedCidrsV6", change: "removed" },
        { document: "function hello", path: "../_shared/cors.ts", change: "removed" },
        { document: "function hello", path: "source/index.ts", change: "changed" },
      ],
    });
    const text = await bench.cli.run(["project", "diff"]);
    expect(text.stdout).toContain("M  auth.jwt_exp: 3600 is now 60");
    expect(text.stdout).not.toContain("another");
    expect(text.stdout).not.toContain("\u001B");
  });

  test("takes what it may not read for unknown, not for gone", async () => {
    expect((await bench.cli.run(["backup"])).code).toBe(0);
    bench.api.state.denied = ["auth_config_read"];
    const diff = await bench.cli.json(["project", "diff"]);
    expect(diff.code).toBe(3);
    expect(diff.document).toMatchObject({ outcome: "incomplete", changes: [] });
  });
});

test("what the description names is judged: no text of auth is unknown, every secret is one", async () => {
  const texts = Object.entries(AUTH_FIELDS).flatMap(([name, { type, enum: words }]) =>
    type === "string" && words === undefined && name !== "sms_test_otp_valid_until" ? [name] : [],
  );
  Object.assign(
    bench.api.state.answers["/config/auth"] as object,
    Object.fromEntries(texts.map((name) => [name, `value of ${name}`])),
    { a_text_of_tomorrow: "new" },
  );
  await bench.cli.json(["backup"]);
  const manifest = await dumped("manifest.json");
  const { notGiven } = (manifest as { project: { notGiven: { name: string; what: string }[] } })
    .project;
  const unknown = notGiven.filter(({ what }) => what.includes("does not know"));
  expect(unknown.map(({ name }) => name)).toEqual(["AUTH_A_TEXT_OF_TOMORROW"]);
  const sealed = notGiven.map(({ name }) => name);
  const secrets = texts.filter((name) => /secret|_pass$|_key$|auth_token|test_otp/.test(name));
  expect(secrets.length).toBeGreaterThan(30);
  for (const name of secrets) expect(sealed).toContain(`AUTH_${name.toUpperCase()}`);
});

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
}
