/**
 * A hot standby as the source: it exports snapshots like a primary, but shows an older moment. What is claimed of the
 * moment is what the standby can prove:
 *
 * 1. the commit time of the last transaction that it replayed
 * 2. where it has replayed all that its primary has said that there is: when the primary said so
 *
 * Read before the snapshot is taken, so that the rows are at least as new. Both by the primary's clock.
 */
import type { Connection } from "../../postgres/index.ts";
import { sourceError } from "../errors.ts";

export interface StandbyMoment {
  readonly at: Date;
  /** `X/Y`. */
  readonly replayedLsn: string;
}

interface MomentRow extends Record<string, unknown> {
  readonly standby: boolean;
  readonly replayed_lsn: string | null;
  readonly at_ms: number | null;
}

/** What of the receiver the role may not see is null, and proves nothing. */
const MOMENT = `
  SELECT pg_is_in_recovery() AS standby,
         CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()::text END AS replayed_lsn,
         floor(extract(epoch FROM greatest(
           CASE WHEN pg_is_in_recovery() THEN pg_last_xact_replay_timestamp() END,
           (SELECT r.last_msg_send_time FROM pg_stat_wal_receiver AS r
             WHERE r.status = 'streaming' AND pg_last_wal_replay_lsn() >= r.latest_end_lsn))) * 1000)::float8 AS at_ms`;

/** `undefined` of a primary. */
export async function readStandbyMoment(session: Connection): Promise<StandbyMoment | undefined> {
  const [row] = await session.query<MomentRow>(MOMENT);
  if (row === undefined) throw sourceError("catalog_unreadable", { message: "state of recovery" });
  if (!row.standby) return undefined;
  if (row.at_ms === null || row.replayed_lsn === null) {
    throw sourceError("standby_moment_unknown", {
      message: "standby that has replayed no transaction since it was started",
    });
  }
  return { at: new Date(row.at_ms), replayedLsn: row.replayed_lsn };
}

export function leftOutByStandby(moment: StandbyMoment): {
  readonly object: string;
  readonly reason: string;
} {
  return {
    object: `what was committed after ${moment.at.toISOString()}`,
    reason: `read from a standby, which had replayed up to ${moment.replayedLsn}`,
  };
}
