import { existsSync } from "node:fs";
import { join } from "node:path";
import type { ServerPrograms } from "../../demo/programs.ts";
import type { CatalogDifference, RestoreResult } from "../../src/restore/index.ts";
import { planRestore } from "../../src/restore/index.ts";
import type { ClientTools } from "../../src/postgres/index.ts";
import { startCluster as startThrowaway } from "../../demo/cluster.ts";
import { startCluster, testPrograms, TEST_SETTINGS } from "./cluster.ts";
import type { Cluster } from "./cluster.ts";
import { differencesBetween } from "./compare.ts";
import { captureForRestore, restoreOptions } from "./restore.ts";

const TOOLS = join(import.meta.dirname, "../../.tools");
/** Debian 12's, which the other tests run. */
const SYSTEM = 15;

/** Programs of a server of that version, with the nearest clients that read it. */
export function programsOf(major: number): ServerPrograms {
  const system = testPrograms();
  if (major === SYSTEM) return system;
  const folder = join(TOOLS, "postgres-servers", String(major), "bin");
  if (!existsSync(join(folder, "postgres")))
    throw new Error(
      `no server of PostgreSQL ${major}: run npm run setup, or npm run test:versions`,
    );
  const server = (name: string): string => join(folder, name);
  const client = clientsOf(major);
  return {
    folder,
    initdb: server("initdb"),
    postgres: server("postgres"),
    pg_ctl: server("pg_ctl"),
    psql: client.psql,
    pg_dump: client.pgDump,
    pg_restore: client.pgRestore,
  };
}

export function clientsOf(serverMajor: number): ClientTools {
  if (serverMajor <= SYSTEM) {
    const { psql, pg_dump: pgDump, pg_restore: pgRestore } = testPrograms();
    return { psql, pgDump, pgRestore, major: SYSTEM };
  }
  const major = Math.max(17, serverMajor);
  const folder = join(TOOLS, "postgres-clients", String(major), "bin");
  return {
    psql: join(folder, "psql"),
    pgDump: join(folder, "pg_dump"),
    pgRestore: join(folder, "pg_restore"),
    major,
  };
}

export function startVersion(major: number): Promise<Cluster> {
  // The others come without pg_resetwal, which a copy of a template needs.
  return major === SYSTEM
    ? startCluster()
    : startThrowaway({ programs: programsOf(major), settings: TEST_SETTINGS });
}

export interface RoundTrip {
  readonly result: RestoreResult;
  /** Of the independent comparison, the bootstrap superusers left out. */
  readonly oracle: readonly string[];
}

/** From one version into another, captured by the source's clients and restored with them. */
export async function roundTrip(
  source: Cluster,
  sourceMajor: number,
  targetMajor: number,
): Promise<RoundTrip> {
  const tools = clientsOf(sourceMajor);
  const made = await captureForRestore(source.url("odd"), { tools });
  await using target = await startVersion(targetMajor);
  const options = restoreOptions(made, target.url("back"), { tools });
  const result = await (await planRestore(options)).execute();
  const ignoreRoles = [source.superuser, target.superuser];
  const oracle = await differencesBetween(
    { url: source.url("odd"), ignoreRoles },
    { url: target.url("back"), ignoreRoles },
  );
  return { result, oracle };
}

/** Without the two servers' own bootstrap superusers. */
export function differencesOf({ catalog }: RestoreResult): readonly CatalogDifference[] {
  return catalog.differences.filter(({ object }) => !object.startsWith("role boot_"));
}
