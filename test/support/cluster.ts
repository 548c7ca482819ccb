import { join } from "node:path";
import { findServerPrograms } from "../../demo/programs.ts";
import { startCluster as startThrowaway } from "../../demo/cluster.ts";
import type { Cluster, ClusterOptions } from "../../demo/cluster.ts";

export type { Cluster } from "../../demo/cluster.ts";

export const TEST_SETTINGS: Readonly<Record<string, string>> = {
  // A test's cluster never outlives the machine.
  fsync: "off",
  full_page_writes: "off",
  synchronous_commit: "off",
  autovacuum: "off",
};

const TEMPLATES = join(import.meta.dirname, "../../node_modules/.cache/sparekeep-test");

export function testPrograms(): ReturnType<typeof findServerPrograms> {
  return findServerPrograms({
    preferred: process.env["SPAREKEEP_PG_BIN"],
    path: process.env["PATH"],
  });
}

/**
 * A cluster of the test's own, 0.3 s: `await using cluster = await startCluster()`. For faults that hit a whole server;
 * else take {@link sharedCluster} and a database of your own.
 */
export function startCluster(
  options: Partial<Omit<ClusterOptions, "templateFolder">> = {},
): Promise<Cluster> {
  return startThrowaway({
    programs: testPrograms(),
    templateFolder: TEMPLATES,
    ...options,
    settings: { ...TEST_SETTINGS, ...options.settings },
  });
}

let shared: Promise<Cluster> | undefined;

/** One for each Vitest worker, started on first use; its watchdog removes it when the worker ends. Do not dispose it. */
export function sharedCluster(): Promise<Cluster> {
  shared ??= startCluster();
  return shared;
}

let counter = 0;

export interface TestDatabase extends AsyncDisposable {
  readonly name: string;
  /** The superuser's. */
  readonly url: string;
  readonly cluster: Cluster;
  query: Cluster["query"];
  psql(script: string): Promise<string>;
}

/** A fresh database on the shared cluster (or on `cluster`), dropped by dispose. */
export async function createTestDatabase(
  options: { readonly cluster?: Cluster; readonly script?: string; readonly name?: string } = {},
): Promise<TestDatabase> {
  const cluster = options.cluster ?? (await sharedCluster());
  counter += 1;
  const name = options.name ?? `test_${process.pid}_${counter}`;
  await cluster.createDatabase(name);
  if (options.script !== undefined) await cluster.psql(options.script, name);
  return {
    name,
    url: cluster.url(name),
    cluster,
    query: (sql, query) => cluster.query(sql, { database: name, ...query }),
    psql: (script) => cluster.psql(script, name),
    [Symbol.asyncDispose]: () => cluster.dropDatabase(name),
  };
}

/** What we left behind on the server. */
export async function leakedSessions(cluster: Cluster): Promise<string[]> {
  const rows = await cluster.query<{ left: string }>(
    `SELECT format('%s: %s (%s)', application_name, coalesce(query, ''), state) AS left
       FROM pg_stat_activity WHERE application_name LIKE 'sparekeep %'
     UNION ALL
     SELECT format('slot %s', slot_name) FROM pg_replication_slots
     UNION ALL
     SELECT format('prepared transaction %s', gid) FROM pg_prepared_xacts`,
  );
  return rows.map((row) => row.left);
}

/**
 * For `afterEach`: fails the test that left a session, a slot or a prepared transaction of ours behind. A server
 * process notices a closed connection only at its next read or write, so one that is on its way out is waited for.
 */
export async function failOnLeakedSessions(cluster: Cluster): Promise<void> {
  let left = await leakedSessions(cluster);
  for (let round = 0; round < 100 && left.length > 0; round += 1) {
    await cluster.query("SELECT pg_sleep(0.1)");
    left = await leakedSessions(cluster);
  }
  if (left.length > 0) throw new Error(`left behind on the server: ${left.join("; ")}`);
}
