import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { silentLog, systemClock } from "../../src/kernel/index.ts";
import { doctor } from "../../src/operation/index.ts";
import type { DoctorResult, OperationContext } from "../../src/operation/index.ts";
import { parsePolicy } from "../../src/policy/index.ts";
import { clientToolFolders } from "../../src/postgres/index.ts";
import { startCluster } from "../support/cluster.ts";
import type { Cluster } from "../support/cluster.ts";
import { startManagementApi } from "../support/management-api.ts";
import type { ManagementStandIn } from "../support/management-api.ts";
import { startPgBouncer } from "../support/pgbouncer.ts";

let cluster: Cluster;
let stateDirectory: string;
beforeAll(async () => {
  cluster = await startCluster();
  stateDirectory = await mkdtemp(join(tmpdir(), "sparekeep-doctor-"));
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await rm(stateDirectory, { recursive: true });
});

async function examined(url: string, api?: ManagementStandIn): Promise<DoctorResult> {
  const variables: Record<string, string> = { DATABASE_URL: url, TOKEN: api?.token ?? "" };
  const context: OperationContext = {
    clock: systemClock,
    random: (size) => randomBytes(size),
    log: silentLog,
    signal: new AbortController().signal,
    actor: "ann",
    hostname: "web1",
    pid: process.pid,
    env: (name) => variables[name],
    toolDirectories: await clientToolFolders(process.env["PATH"]),
    stateDirectory,
    version: "0.0.0-test",
  };
  const source =
    api === undefined
      ? "kind: postgres"
      : `kind: supabase, project: ${api.state.ref}, management_token: { env: TOKEN }, management_api: "${api.address}"`;
  const text = `
sparekeep: 1
name: p
sources: { db: { ${source}, connection: { env: DATABASE_URL } } }
destinations: { local: { url: ${stateDirectory}/none, password: { env: NONE } } }
plans: { full: { source: db, capture: everything, to: local } }
`;
  const policy = parsePolicy({ text, file: "p.yaml", directory: stateDirectory });
  return doctor(context, { policy, nodeVersion: "v24.0.0", probe: false });
}

function ofSource({ findings }: DoctorResult): unknown[] {
  return findings
    .filter(({ subject }) => subject === "source db")
    .map(({ status, message, fix }) => ({ status, message, fix }));
}

test("doctor shows that an exported snapshot holds, and what a pooler costs", async () => {
  await using bouncer = await startPgBouncer(cluster, { mode: "session" });
  const held = "an exported snapshot holds across connections";
  expect(ofSource(await examined(cluster.url("postgres")))).toContainEqual(
    expect.objectContaining({ status: "ok", message: held }),
  );
  expect(ofSource(await examined(bouncer.url("postgres")))).toContainEqual(
    expect.objectContaining({
      status: "ok",
      message: `${held}, through a pooler in session mode: no change stream passes it`,
    }),
  );
});

test("doctor finds a hidden transaction pooler out", async () => {
  await using bouncer = await startPgBouncer(cluster, { mode: "transaction" });
  const findings = ofSource(await examined(bouncer.url("postgres")));
  expect(findings).toMatchObject([
    { status: "fail", fix: expect.stringContaining("session mode") as unknown },
  ]);
});

test("doctor says what the management token sees", async () => {
  await using api = await startManagementApi();
  const result = ofSource(await examined(cluster.url("postgres"), api));
  expect(result).toContainEqual({
    status: "ok",
    message:
      'management token sees project "shop" (abcdefghijklmnopqrst, eu-central-1), ACTIVE_HEALTHY',
    fix: undefined,
  });
  expect(result).toContainEqual({
    status: "ok",
    message: "management token may read all of the project's configuration",
    fix: undefined,
  });
  expect(api.violations).toEqual([]);
});

test("a scope that the token lacks, and a token that nobody knows, fail with what to do", async () => {
  await using api = await startManagementApi();
  api.state.denied = ["auth_config_read", "edge_functions_secrets_read"];
  const result = ofSource(await examined(cluster.url("postgres"), api));
  expect(result).toContainEqual({
    status: "fail",
    message: expect.stringMatching(
      /^4 parts of the project's configuration that the management token does not get: auth, auth-sso-providers, auth-third-party, edge-secrets \(.*auth_config_read/,
    ) as unknown,
    fix: expect.stringContaining("permission") as unknown,
  });
  const unknown = {
    ...api,
    token: "sbp_ffffffffffffffffffffffffffffffffffffffff",
    state: api.state,
  };
  expect(ofSource(await examined(cluster.url("postgres"), unknown))).toContainEqual(
    expect.objectContaining({
      status: "fail",
      fix: expect.stringContaining("Make a new access token") as unknown,
    }),
  );
});
