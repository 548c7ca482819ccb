/** A whole database into a repository and back, against PostgreSQL's own tools and the pipe that people use today. */
import { writeFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { startCluster } from "../demo/cluster.ts";
import type { Cluster } from "../demo/cluster.ts";
import { findServerPrograms } from "../demo/programs.ts";
import { MIB } from "../src/kernel/index.ts";
import { build } from "./build.ts";
import { CHANGE_NEWEST, CHANGE_SCATTERED, databaseSql, TABLES } from "./database.ts";
import { measure, measurePipe, median, rounded } from "./measure.ts";
import type { Measured, Program } from "./measure.ts";
import type { BenchResult } from "./report.ts";
import { findRestic } from "./repository.ts";
import type { BenchOptions } from "./repository.ts";

const SETTINGS = {
  shared_buffers: "256MB",
  max_wal_size: "4GB",
  maintenance_work_mem: "128MB",
  // The same rows in the same place for everyone.
  autovacuum: "off",
};

interface Place {
  readonly cluster: Cluster;
  readonly folder: string;
  readonly main: string;
  readonly restic: string;
  /** For libpq. */
  readonly env: Readonly<Record<string, string>>;
}

export async function benchPostgres({ quick, folder }: BenchOptions): Promise<BenchResult> {
  const scale = quick ? 0.1 : 1;
  const runs = quick ? 2 : 3;
  const programs = findServerPrograms({ path: process.env["PATH"] });
  await using cluster = await startCluster({ programs, settings: SETTINGS });
  // An ordinary role owns everything, as anywhere: what a superuser owns is not restored without --trust-source.
  await cluster.query("CREATE ROLE app_owner");
  await cluster.createDatabase("app", { owner: "app_owner" });
  await cluster.psql(databaseSql(scale), "app");
  const { main } = await build();
  const restic = await findRestic();
  const env = {
    PGHOST: "127.0.0.1",
    PGPORT: String(cluster.port),
    PGUSER: cluster.superuser,
    PGPASSWORD: cluster.password,
  };
  const place: Place = { cluster, folder, main, restic: restic.path, env };
  const sizeMib = await databaseMib(cluster);
  const dumps = await benchDumps(place, runs);
  const bytes = await benchNextDays(place);
  const restores = await benchRestores(place, runs);
  return resultOf(dumps, bytes, restores, [
    `Generated application database of ${sizeMib} MiB (tables and indexes), ${runs} runs each, alternating.`,
    `PostgreSQL ${await serverVersion(cluster)}, its own client programs; restic_pipe: pg_dump -Fc -Z0 into ${restic.version}.`,
    "pg_dump_newest is left out: no pg_dump newer than the server's was found.",
    "ours is `sparekeep backup` and `sparekeep restore` as published: start, key derivation, read-back check and the comparison of counts and row hashes after a restore included.",
    `Bytes written by ours: first run ${rounded(bytes.first / MIB, 1)} MiB, after 1 % newest ${rounded(bytes.newest / MIB, 1)} MiB, after 1 % scattered ${rounded(bytes.scattered / MIB, 1)} MiB.`,
  ]);
}

type Times = Map<string, number[]>;

function note(times: Times, name: string, { seconds, peakMib }: Measured): void {
  times.set(name, [...(times.get(name) ?? []), seconds]);
  console.log(`${name}: ${seconds.toFixed(2)} s (${Math.round(peakMib)} MiB)`);
}

interface Dumps {
  readonly times: Times;
  readonly peakMib: number;
}

async function benchDumps(place: Place, runs: number): Promise<Dumps> {
  const times: Times = new Map();
  const peaks: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const ours = async (): Promise<void> => {
      await freshRepository(place);
      const measured = await measure(backupProgram(place));
      peaks.push(measured.peakMib);
      note(times, "ours", measured);
    };
    const peers = (): Promise<void> => dumpPeers(place, times);
    if (run % 2 === 0) {
      await ours();
      await peers();
    } else {
      await peers();
      await ours();
    }
  }
  return { times, peakMib: Math.max(...peaks) };
}

async function dumpPeers(place: Place, times: Times): Promise<void> {
  const { env, cluster, folder, restic } = place;
  const { pg_dump: pgDump, psql } = cluster.programs;
  const target = join(folder, "dump");
  const dumpTo = async (name: string, args: readonly string[]): Promise<void> => {
    await rm(target, { recursive: true, force: true });
    note(times, name, await measure({ command: pgDump, args: [...args, "app"], env }));
  };
  await dumpTo("pg_dump_fc", ["-Fc", "-f", target]);
  await dumpTo("pg_dump_fd_j2", ["-Fd", "-j2", "-f", target]);
  const copies = TABLES.flatMap((table) => ["-c", `COPY ${table} TO STDOUT`]);
  const bare: Program = { command: psql, args: ["-X", "-q", "-d", "app", ...copies], env };
  note(times, "bare_copy", await measure({ ...bare, stdout: "discard" }));
  const resticEnv = {
    RESTIC_REPOSITORY: join(folder, "restic"),
    RESTIC_PASSWORD_FILE: join(folder, "password"),
    RESTIC_CACHE_DIR: join(folder, "cache"),
  };
  await rm(resticEnv.RESTIC_REPOSITORY, { recursive: true, force: true });
  await measure({ command: restic, args: ["init", "--quiet"], env: resticEnv });
  const piped = await measurePipe([
    { command: pgDump, args: ["-Fc", "-Z0", "app"], env },
    { command: restic, args: ["backup", "--quiet", "--stdin"], env: resticEnv },
  ]);
  note(times, "restic_pipe", piped);
}

/** An empty repository and the policy that names it. */
async function freshRepository(place: Place): Promise<void> {
  const { folder, main } = place;
  await rm(join(folder, "repository"), { recursive: true, force: true });
  await mkdir(join(folder, "state"), { recursive: true });
  writeFileSync(join(folder, "password"), "benchmark\n", { mode: 0o600 });
  writeFileSync(
    join(folder, "policy.yaml"),
    `sparekeep: 1
name: bench
state: ./state
sources:
  app: { kind: postgres, connection: { env: DATABASE_URL } }
destinations:
  local: { url: ./repository, password: { file: ./password } }
plans:
  nightly: { source: app, capture: everything, to: local }
`,
  );
  await measure({
    command: process.execPath,
    args: [main, "init", "--policy", policyOf(place), "--allow-weak"],
  });
}

function policyOf({ folder }: Place): string {
  return join(folder, "policy.yaml");
}

function backupProgram(place: Place): Program {
  return {
    command: process.execPath,
    args: [place.main, "backup", "--policy", policyOf(place), "--json"],
    env: { DATABASE_URL: place.cluster.url("app") },
  };
}

interface Written {
  readonly first: number;
  readonly newest: number;
  readonly scattered: number;
}

async function benchNextDays(place: Place): Promise<Written> {
  const written = async (): Promise<number> =>
    writtenBytes((await measure(backupProgram(place))).stdout);
  await freshRepository(place);
  const first = await written();
  await place.cluster.psql(CHANGE_NEWEST, "app");
  const newest = await written();
  await place.cluster.psql(CHANGE_SCATTERED, "app");
  const scattered = await written();
  return { first, newest, scattered };
}

function writtenBytes(json: string): number {
  const result: unknown = JSON.parse(json);
  if (typeof result === "object" && result !== null && "writtenBytes" in result) {
    if (typeof result.writtenBytes === "number") return result.writtenBytes;
  }
  throw new Error(`backup --json without writtenBytes: ${json.slice(0, 200)}`);
}

async function benchRestores(place: Place, runs: number): Promise<Times> {
  const { cluster, env, folder, main } = place;
  const times: Times = new Map();
  const dump = join(folder, "dump");
  await rm(dump, { recursive: true, force: true });
  await measure({
    command: cluster.programs.pg_dump,
    args: ["-Fd", "-j2", "-f", dump, "app"],
    env,
  });
  await rm(join(folder, "restic"), { recursive: true, force: true });
  const ours = async (): Promise<void> => {
    const args = ["restore", "latest", "--policy", policyOf(place), "--to-env", "TARGET_URL"];
    const program: Program = {
      command: process.execPath,
      args: [main, ...args, "--create", "--yes", "--json"],
      env: { TARGET_URL: cluster.url("again") },
    };
    note(times, "ours", await measure(program));
    await cluster.dropDatabase("again");
  };
  const peer = async (): Promise<void> => {
    await cluster.createDatabase("again");
    const args = ["-j2", "-d", "again", dump];
    note(
      times,
      "pg_restore_j2",
      await measure({ command: cluster.programs.pg_restore, args, env }),
    );
    await cluster.dropDatabase("again");
  };
  for (let run = 0; run < runs; run += 1) {
    for (const turn of run % 2 === 0 ? [ours, peer] : [peer, ours]) await turn();
  }
  return times;
}

async function databaseMib(cluster: Cluster): Promise<number> {
  const [row] = await cluster.query<{ bytes: string }>(
    "SELECT pg_database_size('app')::text AS bytes",
  );
  return Math.round(Number(row?.bytes) / MIB);
}

async function serverVersion(cluster: Cluster): Promise<string> {
  const [row] = await cluster.query<{ version: string }>(
    "SELECT current_setting('server_version') AS version",
  );
  return row?.version ?? "of an unknown version";
}

const DUMP_PEERS = ["pg_dump_fc", "pg_dump_fd_j2", "restic_pipe", "bare_copy"] as const;

function resultOf(
  dumps: Dumps,
  bytes: Written,
  restores: Times,
  notes: readonly string[],
): BenchResult {
  const seconds = (times: Times, name: string): number => median(times.get(name) ?? []);
  const backup = seconds(dumps.times, "ours");
  const restore = seconds(restores, "ours");
  const ratios: Record<string, number> = {};
  const ours: Record<string, number> = {};
  const peer: Record<string, number> = {};
  for (const name of DUMP_PEERS) {
    peer[name] = rounded(seconds(dumps.times, name));
    ours[name] = rounded(backup);
    ratios[name] = rounded(backup / seconds(dumps.times, name));
  }
  for (const [name, value] of [
    ["next_day_bytes", bytes.newest],
    ["next_day_scattered_bytes", bytes.scattered],
  ] as const) {
    ratios[name] = rounded(value / bytes.first, 3);
    ours[name] = value;
    peer[name] = bytes.first;
  }
  peer["pg_restore_j2"] = rounded(seconds(restores, "pg_restore_j2"));
  ours["pg_restore_j2"] = rounded(restore);
  ratios["pg_restore_j2"] = rounded(restore / seconds(restores, "pg_restore_j2"));
  const peak = `Peak memory of sparekeep backup: ${Math.round(dumps.peakMib)} MiB.`;
  return { bench: "postgres", ratios, ours, peer, notes: [...notes, peak] };
}
