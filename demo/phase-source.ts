import type { Clock } from "../src/kernel/index.ts";
import { formatCount } from "../src/kernel/index.ts";
import type { Cluster } from "./cluster.ts";
import { quoteText, startCluster } from "./cluster.ts";
import { takeImage } from "./compare/compare.ts";
import { demoError } from "./errors.ts";
import type { DatabaseImage } from "./compare/compare.ts";
import { loadMarketplace, SOURCE_SUPERUSER } from "./marketplace.ts";
import type { ServerPrograms } from "./programs.ts";
import type { Screen } from "./screen.ts";

export const DATABASE = "marketplace";
/** Of the whole marketplace, for the bar alone; what is reported is read from the server. */
const FULL_SIZE_BYTES = 278_000_000;
const POLL_MS = 250;

/** Throwaway servers need no durability: what must last is the repository, and that is synced. */
export const CLUSTER_SETTINGS = {
  fsync: "off",
  full_page_writes: "off",
  synchronous_commit: "off",
  autovacuum: "off",
  wal_level: "minimal",
  max_wal_senders: "0",
  max_wal_size: "4GB",
  shared_buffers: "128MB",
} as const;

export interface SourcePhase {
  readonly screen: Screen;
  readonly clock: Clock;
  readonly programs: ServerPrograms;
  readonly scale: number;
  readonly backupPassword: string;
  readonly signal: AbortSignal;
}

export interface LoadedSource {
  /** What the source was, remembered to be compared with what comes back. */
  readonly image: DatabaseImage;
  readonly sizeBytes: number;
  readonly loadMs: number;
}

export async function startSource(phase: SourcePhase): Promise<Cluster> {
  const { screen, programs, signal } = phase;
  const { value } = await screen.step(
    "start",
    () => startChecked(programs, signal),
    ({ cluster, version }) =>
      `PostgreSQL ${version}, a throwaway on 127.0.0.1:${cluster.port}, started`,
  );
  return value.cluster;
}

async function startChecked(
  programs: ServerPrograms,
  signal: AbortSignal,
): Promise<{ readonly cluster: Cluster; readonly version: string }> {
  const settings = CLUSTER_SETTINGS;
  const cluster = await startCluster({ programs, superuser: SOURCE_SUPERUSER, settings, signal });
  try {
    const [row] = await cluster.query<ServerVersion>(
      "SELECT split_part(version(), ' ', 2) AS version, current_setting('server_version_num') AS number",
    );
    return { cluster, version: demandVersion(row) };
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

interface ServerVersion extends Record<string, unknown> {
  readonly version: string;
  /** `server_version_num` */
  readonly number: string;
}

/** Of the roles and clauses that the marketplace uses, the newest came with version 14. */
const OLDEST = 140_000;

export function demandVersion(row: ServerVersion | undefined): string {
  if (row === undefined || Number(row.number) < OLDEST) {
    throw demoError("programs_old", { message: `PostgreSQL ${row?.version ?? "of no version"}` });
  }
  return row.version;
}

export async function loadSource(phase: SourcePhase, cluster: Cluster): Promise<LoadedSource> {
  const { screen, signal } = phase;
  const { value: sizeBytes, tookMs: loadMs } = await screen.during(async (onProgress) => {
    let current = "";
    const show = async (totalBytes: number): Promise<number> => {
      const doneBytes = await databaseSize(cluster);
      onProgress({ step: "load", doneBytes, totalBytes, current });
      return doneBytes;
    };
    await using poll = polled(phase.clock, () => show(FULL_SIZE_BYTES * phase.scale), signal);
    await loadMarketplace({
      cluster,
      database: DATABASE,
      scale: phase.scale,
      backupPassword: phase.backupPassword,
      signal,
      onStep: (name) => (current = name),
    });
    await poll.stop();
    return await show(0);
  });
  const { value: image } = await screen.step(
    "remember",
    (onTable) => takeImage({ url: cluster.url(DATABASE), signal, onTable }),
    ({ facts, rows }) =>
      `${formatCount(facts.length)} objects and ${formatCount(rows)} rows remembered by hash, for the end,`,
  );
  return { image, sizeBytes, loadMs };
}

async function databaseSize(cluster: Cluster): Promise<number> {
  const rows = await cluster.query<{ size: string }>(
    `SELECT coalesce(sum(pg_database_size(oid)), 0)::text AS size FROM pg_database WHERE datname = ${quoteText(DATABASE)}`,
  );
  return Number(rows[0]?.size ?? 0);
}

/** Looks again and again until stopped. A look that fails ends the looking, not the work that it watches. */
function polled(
  clock: Clock,
  look: () => Promise<unknown>,
  signal: AbortSignal,
): AsyncDisposable & { stop(): Promise<void> } {
  const end = new AbortController();
  const until = AbortSignal.any([signal, end.signal]);
  const loop = async (): Promise<void> => {
    while (!until.aborted) {
      await look();
      await clock.sleep(POLL_MS, until);
    }
  };
  const running = loop().catch(() => undefined);
  const stop = async (): Promise<void> => {
    end.abort();
    await running;
  };
  return { stop, [Symbol.asyncDispose]: stop };
}
