import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { silentLog, systemClock } from "../../src/kernel/index.ts";
import { estimateSource } from "../../src/operation/index.ts";
import type { EgressPrice, OperationContext, SourceEstimate } from "../../src/operation/index.ts";
import { startCluster } from "../support/cluster.ts";
import type { Cluster } from "../support/cluster.ts";

let cluster: Cluster;
let stateDirectory: string;

beforeAll(async () => {
  stateDirectory = await mkdtemp(join(tmpdir(), "sparekeep-estimate-"));
  cluster = await startCluster();
  await cluster.psql(
    `CREATE TABLE wide (id int, body text); INSERT INTO wide SELECT g, repeat('abcdefgh', 50) || g FROM generate_series(1, 40000) g;
     CREATE TABLE narrow (id int); INSERT INTO narrow SELECT g FROM generate_series(1, 60000) g;
     CREATE TABLE random (h text); INSERT INTO random SELECT md5(g::text) FROM generate_series(1, 20000) g;
     CREATE TABLE "of ""no"" rows" (id int); ANALYZE wide; ANALYZE narrow;`,
    "postgres",
  );
  await cluster.psql(
    "CREATE ROLE poor LOGIN PASSWORD 'poor'; GRANT SELECT ON wide TO poor",
    "postgres",
  );
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await rm(stateDirectory, { recursive: true });
});

function estimated(url: string, price?: EgressPrice): Promise<SourceEstimate> {
  const context: OperationContext = {
    clock: systemClock,
    random: (size) => randomBytes(size),
    log: silentLog,
    signal: new AbortController().signal,
    actor: "ann",
    hostname: "web1",
    pid: process.pid,
    env: () => undefined,
    toolDirectories: [],
    stateDirectory,
    version: "0.0.0-test",
  };
  const source = { kind: "postgres", connection: { text: url } } as const;
  const policy = { name: "p", sources: { db: source }, destinations: {}, plans: {}, targets: {} };
  return estimateSource(context, {
    policy,
    source: "db",
    ...(price === undefined ? {} : { price }),
  });
}

/** As COPY sends them whole. */
async function textBytes(): Promise<number> {
  const [row] = await cluster.query<{ bytes: string }>(
    `SELECT (SELECT sum(length(id::text) + length(body) + 2) FROM wide) + (SELECT sum(length(id::text) + 1) FROM narrow)
          + (SELECT sum(length(h) + 1) FROM random) AS bytes`,
    { database: "postgres" },
  );
  return Number(row?.bytes);
}

test("what is sent is near what COPY sends, and each figure says from what it comes", async () => {
  const found = await estimated(cluster.url("postgres"));
  const truth = await textBytes();
  expect(found).toMatchObject({
    outcome: "complete",
    tables: 4,
    rows: {
      count: 100_000,
      tablesWithout: 2,
      from: expect.stringContaining("statistics") as unknown,
    },
    sent: { from: "COPY text, samples of 3 of 3 tables with rows" },
    stored: { from: expect.stringContaining("before deduplication") as unknown },
    unknown: [],
  });
  expect(found.sent.bytes).toBeGreaterThan(truth * 0.9);
  expect(found.sent.bytes).toBeLessThan(truth * 1.1);
  // The hexadecimal digests alone need half of their text.
  expect(found.stored.bytes).toBeGreaterThan(20_000 * 16);
  expect(found.stored.bytes).toBeLessThan((found.sent.bytes ?? 0) / 2);
  expect(found).not.toHaveProperty("egress");
});

test("egress costs what the given price says beyond the quota that is named", async () => {
  const price = { perGb: 90, includedGb: 0.1, runsPerMonth: 30 };
  const { egress, sent } = await estimated(cluster.url("postgres"), price);
  const gb = (sent.bytes ?? 0) / 1e9;
  expect(egress?.perMonth).toBeCloseTo((gb * 30 - 0.1) * 90, 6);
  expect(egress).toMatchObject(price);
});

test("what the role cannot read is unknown, not nothing", async () => {
  const poor = cluster.url("postgres", { name: "poor", password: "poor" });
  const found = await estimated(poor);
  expect(found.outcome).toBe("incomplete");
  expect(found.unknown.map(({ table }) => table)).toEqual(["public.narrow", "public.random"]);
});
