import { parseTarget, readPlatform } from "../../postgres/index.ts";
import type { Connection } from "../../postgres/index.ts";
import { platformNamed } from "../../manifest/index.ts";
import type { Platform } from "../../manifest/index.ts";
import { openAdmin } from "../context.ts";
import { readCronDatabase } from "../cron/step.ts";
import { readScheduled } from "../cron/target.ts";
import type { ScheduledJob } from "../cron/target.ts";
import { restoreError } from "../errors.ts";
import { MARKER_SCHEMA } from "../ledger.ts";
import type { TargetRole } from "../roles.ts";
import {
  openMaintenance,
  readDatabase,
  readExtensions,
  readLogin,
  readRoles,
  readSystemIdentifier,
  refuseSource,
} from "../target.ts";
import { readThere } from "./there.ts";
import type { EntryThere } from "./there.ts";
import type { ReleaseOptions } from "./types.ts";

/** The target of a release, read and never written: a database that a restore has finished, and not the source (R1). */
export interface ReleaseFacts {
  readonly databaseName: string;
  readonly adminName: string;
  readonly superuser: boolean;
  readonly platform: Platform | undefined;
  readonly roles: ReadonlyMap<string, TargetRole>;
  readonly extensions: ReadonlySet<string>;
  readonly there: EntryThere;
  /** Whose jobs pg_cron runs; `undefined` where the server does not load it. */
  readonly cronDatabase: string | undefined;
  /** Jobs of pg_cron, as far as the login sees them; `undefined` without pg_cron in the database. */
  readonly scheduled: readonly ScheduledJob[] | undefined;
  /** Of event triggers that run even where a session holds them off; their functions are the source's. */
  readonly unstoppable: readonly string[];
}

export async function readReleaseFacts(options: ReleaseOptions): Promise<ReleaseFacts> {
  const { database: databaseName } = parseTarget(options.targetUrl);
  await using server = await openMaintenance(options);
  const found = await readDatabase(server, databaseName);
  if (found === undefined) {
    throw restoreError("target_missing", {
      message: `no database ${JSON.stringify(databaseName)} at the target`,
      hint: "Restore the snapshot first.",
    });
  }
  refuseSource(options, databaseName, await readSystemIdentifier(server), found.oid);
  await using inside = await openAdmin(options.targetUrl, options.signal);
  await refuseUnfinished(inside);
  const login = await readLogin(server);
  const platform = await readPlatform(inside);
  return {
    databaseName,
    ...login,
    platform: platform === undefined ? undefined : platformNamed(platform),
    roles: await readRoles(server),
    extensions: new Set((await readExtensions(server)).keys()),
    there: await readThere(inside),
    cronDatabase: await readCronDatabase(inside),
    scheduled: await readScheduled(inside),
    unstoppable: await readUnstoppable(inside),
  };
}

async function refuseUnfinished(inside: Connection): Promise<void> {
  const [row] = await inside.query<{ found: boolean }>(
    "SELECT to_regnamespace($1) IS NOT NULL AS found",
    [MARKER_SCHEMA],
  );
  if (row?.found === false) return;
  throw restoreError("target_unfinished", {
    message: "target whose restore is not finished",
  });
}

/** `session_replication_role = replica` holds off those that are enabled as usual, and no others. */
async function readUnstoppable(inside: Connection): Promise<readonly string[]> {
  const rows = await inside.query<{ name: string }>(
    `SELECT e.evtname AS name FROM pg_event_trigger AS e
       JOIN pg_proc AS p ON p.oid = e.evtfoid JOIN pg_roles AS r ON r.oid = p.proowner
      WHERE e.evtenabled IN ('A', 'R') AND NOT r.rolsuper ORDER BY 1`,
  );
  return rows.map(({ name }) => name);
}
