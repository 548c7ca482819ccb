import { chown, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { runChild } from "../../demo/child.ts";
import { serverUser } from "../../demo/server-user.ts";
import { startCluster } from "./cluster.ts";
import type { Cluster } from "./cluster.ts";

export interface Standby extends AsyncDisposable {
  readonly cluster: Cluster;
  /** Of the primary's superuser, or of a role, at the standby. */
  url(database?: string, role?: { readonly name: string; readonly password: string }): string;
  /** All that the primary has done so far can be read here when this returns; a commit of its own is the last of it. */
  caughtUp(): Promise<void>;
  /** The same of what the primary has written out, and nothing is added to it. */
  hasReplayed(): Promise<void>;
  pauseReplay(): Promise<void>;
  resumeReplay(): Promise<void>;
}

/** A real streaming standby of the cluster, made by pg_basebackup. */
export async function startStandby(
  primary: Cluster,
  settings: Readonly<Record<string, string>> = {},
): Promise<Standby> {
  const { port } = primary;
  const info = `host=127.0.0.1 port=${port} user=${primary.superuser} password=${primary.password} application_name=standby`;
  const cluster = await startCluster({
    superuser: primary.superuser,
    settings: { primary_conninfo: info, wal_receiver_status_interval: "1s", ...settings },
  });
  try {
    await cluster.stop();
    const data = join(cluster.folder, "data");
    await rm(data, { recursive: true });
    await copyData(primary, info, data);
    await cluster.start();
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
  const url: Standby["url"] = (database, role) => {
    const at = new URL(primary.url(database, role));
    at.port = String(cluster.port);
    return at.href;
  };
  const superuser = { name: primary.superuser, password: primary.password };
  const ask = <Row extends Record<string, unknown>>(sql: string): Promise<Row[]> =>
    cluster.query<Row>(sql, { role: superuser });
  const hasReplayed = async (): Promise<void> => {
    const [now] = await primary.query<{ lsn: string }>("SELECT pg_current_wal_lsn()::text AS lsn");
    const reached = `SELECT pg_last_wal_replay_lsn() >= '${now?.lsn ?? ""}' AS reached, pg_sleep(0.05)`;
    for (;;) if ((await ask<{ reached: boolean }>(reached))[0]?.reached === true) return;
  };
  return {
    cluster,
    url,
    caughtUp: async () => {
      // What VACUUM logs is written out by the next commit alone.
      await primary.query("SELECT pg_logical_emit_message(true, 'standby', '')");
      await hasReplayed();
    },
    hasReplayed,
    pauseReplay: async () => {
      await ask("SELECT pg_wal_replay_pause()");
      const state = "SELECT pg_get_wal_replay_pause_state() AS state, pg_sleep(0.05)";
      while ((await ask<{ state: string }>(state))[0]?.state !== "paused");
    },
    resumeReplay: async () => void (await ask("SELECT pg_wal_replay_resume()")),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}

async function copyData(primary: Cluster, info: string, data: string): Promise<void> {
  const result = await runChild({
    program: join(primary.programs.folder, "pg_basebackup"),
    args: ["-D", data, "-d", info, "-R", "-X", "stream", "-c", "fast", "--no-sync"],
    cwd: "/",
  });
  if (result.exitCode !== 0) throw new Error(`pg_basebackup: ${result.stderr.slice(-1000)}`);
  const { uid, gid } = serverUser();
  if (uid === undefined || gid === undefined) return;
  for (const name of [".", ...(await readdir(data, { recursive: true }))]) {
    await chown(join(data, name), uid, gid);
  }
}
