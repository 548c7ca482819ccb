import type { SnapshotWriter } from "../../repository/index.ts";
import type { ProgressMeter } from "./progress.ts";
import type { ControlSession } from "./control.ts";
import type { Notices } from "./notices.ts";
import type { Pace } from "./pace.ts";
import type { ExportedSnapshot, SessionOptions } from "./snapshot.ts";
import type { LockWatch } from "./lock-watch.ts";
import type { CaptureOptions } from "./types.ts";

/** What every step of one capture shares. */
export interface CaptureContext {
  readonly writer: SnapshotWriter;
  readonly options: CaptureOptions;
  /** Those that read, as many as there is room for. */
  readonly connections: number;
  readonly session: SessionOptions;
  /** Aborts with the caller's signal, and when any step fails. */
  readonly signal: AbortSignal;
  /** Stops every other step. */
  readonly fail: () => void;
  readonly snapshot: ExportedSnapshot;
  /** Reads the present, outside the snapshot. */
  readonly control: ControlSession;
  /** Whoever holds locks of tables says so there, and gives way to those who have waited for too long. */
  readonly locks: LockWatch;
  readonly meter: ProgressMeter;
  /** Returns when the sum of what was read may have grown by so much: whoever reads asks before it takes the next. */
  readonly pace: Pace;
  readonly notices: Notices;
  readonly takenAt: Date;
}
