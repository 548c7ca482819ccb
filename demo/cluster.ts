/**
 * Throwaway PostgreSQL clusters for the demo and the tests: private folder, random password, loopback or a unix socket
 * only. Nothing stays behind: not after dispose, an abort or a crash, and (by the watchdog) not after `kill -9` either.
 */
import { randomBytes } from "node:crypto";
import { chownSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { runChild } from "./child.ts";
import { demoError } from "./errors.ts";
import { copyTemplate } from "./cluster-template.ts";
import { startPostmaster } from "./postmaster.ts";
import type { Postmaster } from "./postmaster.ts";
import type { ServerPrograms } from "./programs.ts";
import { serverUser } from "./server-user.ts";
import type { ServerUser } from "./server-user.ts";
import { startWatchdog } from "./watchdog.ts";
import type { Watchdog } from "./watchdog.ts";

export interface ClusterOptions {
  readonly programs: ServerPrograms;
  /** Name of the bootstrap superuser; by default a random one, which no dump can mention. */
  readonly superuser?: string;
  /** `tcp` (default): 127.0.0.1 and a unix socket. `unix`: no TCP port at all. */
  readonly listen?: "tcp" | "unix";
  /** A free one by default. */
  readonly port?: number;
  readonly settings?: Readonly<Record<string, string>>;
  /** Folder that keeps an initialised cluster to copy, which is faster than initdb each time (tests). */
  readonly templateFolder?: string;
  readonly signal?: AbortSignal;
}

export type StopMode = "fast" | "immediate";

export interface QueryOptions {
  readonly database?: string;
  /** A role with a password of its own; by default the superuser. */
  readonly role?: { readonly name: string; readonly password: string };
  readonly values?: readonly unknown[];
}

export interface Cluster extends AsyncDisposable {
  readonly superuser: string;
  readonly password: string;
  readonly port: number;
  readonly folder: string;
  readonly programs: ServerPrograms;
  /** Undefined while stopped. */
  readonly pid: number | undefined;
  /** A connection URI; the superuser's unless a role is given. */
  url(database?: string, role?: { readonly name: string; readonly password: string }): string;
  /** One statement on a connection of its own; rows as objects, with pg's own conversions. */
  query<Row extends Record<string, unknown> = Record<string, unknown>>(
    sql: string,
    options?: QueryOptions,
  ): Promise<Row[]>;
  /** A whole script through psql, stopping at the first error; gives its output (unaligned, tuples only). */
  psql(script: string, database?: string): Promise<string>;
  createDatabase(name: string, options?: { readonly owner?: string }): Promise<void>;
  /** Ends its sessions too. */
  dropDatabase(name: string): Promise<void>;
  /** Stops the server and keeps the folder: `start` brings it back. */
  stop(mode?: StopMode): Promise<void>;
  start(): Promise<void>;
}

const FIXED_SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: "",
  password_encryption: "scram-sha-256",
  max_connections: "60",
  shared_buffers: "64MB",
  // Shared memory in the data folder goes with it; containers often have a tiny /dev/shm.
  dynamic_shared_memory_type: "mmap",
  wal_level: "logical",
  jit: "off",
  log_timezone: "UTC",
  timezone: "UTC",
};

class ThrowawayCluster implements Cluster {
  readonly superuser: string;
  readonly password: string;
  readonly folder: string;
  readonly programs: ServerPrograms;
  readonly #user: ServerUser;
  readonly #settings: Readonly<Record<string, string>>;
  readonly #listen: "tcp" | "unix";
  readonly #watchdog: Watchdog;
  #postmaster: Postmaster | undefined;
  #port = 0;
  #disposed: Promise<void> | undefined;

  constructor(options: ClusterOptions, folder: string, user: ServerUser, watchdog: Watchdog) {
    this.programs = options.programs;
    this.superuser = options.superuser ?? `boot_${randomBytes(6).toString("hex")}`;
    this.password = randomBytes(18).toString("base64url");
    this.folder = folder;
    this.#user = user;
    this.#listen = options.listen ?? "tcp";
    this.#port = options.port ?? 0;
    this.#settings = { ...FIXED_SETTINGS, ...options.settings };
    this.#watchdog = watchdog;
  }

  get port(): number {
    return this.#port;
  }

  get pid(): number | undefined {
    return this.#postmaster?.pid;
  }

  async initialise(options: ClusterOptions): Promise<void> {
    const passfile = join(this.folder, "passfile");
    await writeFile(passfile, `*:*:*:*:${this.password}\n`, { mode: 0o600 });
    for (const name of ["data", "socket"]) {
      await mkdir(join(this.folder, name), { mode: 0o700 });
      giveTo(join(this.folder, name), this.#user);
    }
    const common = {
      programs: this.programs,
      superuser: this.superuser,
      password: this.password,
      folder: this.folder,
      user: this.#user,
      signal: options.signal,
      onStart: (pid: number | undefined) => this.#watchdog.guard(pid),
    };
    await (options.templateFolder === undefined
      ? initdb(common)
      : copyTemplate({ ...common, templateFolder: options.templateFolder, initdb }));
  }

  async start(signal?: AbortSignal): Promise<void> {
    const postmaster = await startPostmaster({
      programs: this.programs,
      folder: this.folder,
      user: this.#user,
      settings: this.#settings,
      tcp: this.#listen === "tcp",
      port: this.#port,
      onStart: (pid) => this.#watchdog.guard(pid),
      signal,
    });
    this.#postmaster = postmaster;
    this.#port = postmaster.port;
  }

  async stop(mode: StopMode = "fast"): Promise<void> {
    const postmaster = this.#postmaster;
    this.#postmaster = undefined;
    await postmaster?.stop(mode);
    this.#watchdog.guard(undefined);
  }

  url(database = "postgres", role?: { readonly name: string; readonly password: string }): string {
    const host = this.#listen === "tcp" ? "127.0.0.1" : join(this.folder, "socket");
    const name = encodeURIComponent(role?.name ?? this.superuser);
    const password = encodeURIComponent(role?.password ?? this.password);
    return `postgresql://${name}:${password}@${encodeURIComponent(host)}:${this.#port}/${encodeURIComponent(database)}`;
  }

  async query<Row extends Record<string, unknown>>(
    sql: string,
    options: QueryOptions = {},
  ): Promise<Row[]> {
    const client = new Client({ connectionString: this.url(options.database, options.role) });
    // A server that is stopped in the middle says so twice: to the query, which rejects, and to whoever listens here.
    // Unheard, the second would end the process before it has cleaned up.
    client.on("error", () => undefined);
    await client.connect();
    try {
      const result = await client.query<Row>(sql, [...(options.values ?? [])]);
      return result.rows;
    } finally {
      await client.end();
    }
  }

  async psql(script: string, database = "postgres"): Promise<string> {
    const host = join(this.folder, "socket");
    const result = await runChild({
      program: this.programs.psql,
      args: ["-XqAt", "-v", "ON_ERROR_STOP=1", "-h", host, "-p", String(this.#port)].concat([
        "-U",
        this.superuser,
        "-d",
        database,
        "-f",
        "-",
      ]),
      cwd: "/",
      stdin: script,
      env: { PGPASSFILE: join(this.folder, "passfile") },
    });
    if (result.exitCode !== 0) {
      throw demoError("script", {
        message: `psql ended with ${result.exitCode}: ${result.stderr.slice(-2000)}`,
      });
    }
    return result.stdout;
  }

  async createDatabase(name: string, options: { readonly owner?: string } = {}): Promise<void> {
    const owner = options.owner === undefined ? "" : ` OWNER ${quoteName(options.owner)}`;
    await this.query(`CREATE DATABASE ${quoteName(name)}${owner} TEMPLATE template0`);
  }

  async dropDatabase(name: string): Promise<void> {
    await this.query(`DROP DATABASE IF EXISTS ${quoteName(name)} WITH (FORCE)`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#remove();
    return this.#disposed;
  }

  async #remove(): Promise<void> {
    await this.stop("immediate");
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
    await this.#watchdog.release();
  }
}

/** Initialised and accepting connections when this returns; aborting the signal later stops and removes it. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  options.signal?.throwIfAborted();
  const user = serverUser();
  const folder = await mkdtemp(join(tmpdir(), "sparekeep-pg-"));
  giveTo(folder, user);
  const cluster = new ThrowawayCluster(options, folder, user, startWatchdog(folder));
  try {
    await cluster.initialise(options);
    await cluster.start(options.signal);
    options.signal?.throwIfAborted();
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
  // The caller disposes as well and sees what goes wrong there; this one only makes the end come sooner.
  const end = (): void => void cluster[Symbol.asyncDispose]().catch(() => undefined);
  options.signal?.addEventListener("abort", end, { once: true });
  return cluster;
}

export interface InitdbOptions {
  readonly programs: ServerPrograms;
  readonly superuser: string;
  readonly password: string;
  /** Holds `data/`, empty. */
  readonly folder: string;
  readonly user: ServerUser;
  readonly signal: AbortSignal | undefined;
  readonly onStart: (pid: number | undefined) => void;
}

async function initdb(options: InitdbOptions): Promise<void> {
  const passwordFile = join(options.folder, "password");
  await writeFile(passwordFile, `${options.password}\n`, { mode: 0o600 });
  giveTo(passwordFile, options.user);
  const result = await runChild({
    program: options.programs.initdb,
    args: [
      ["-D", join(options.folder, "data"), "-U", options.superuser],
      [`--pwfile=${passwordFile}`, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"],
      ["--no-sync", "--wal-segsize=16"],
    ].flat(),
    cwd: options.folder,
    user: options.user,
    signal: options.signal,
    onStart: options.onStart,
  });
  await rm(passwordFile);
  if (result.exitCode !== 0) {
    throw demoError("cluster_start", {
      message: `initdb ended with ${result.exitCode}: ${result.stderr.slice(-2000)}`,
    });
  }
}

function giveTo(path: string, user: ServerUser): void {
  if (user.uid !== undefined && user.gid !== undefined) chownSync(path, user.uid, user.gid);
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
