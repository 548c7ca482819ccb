import { AppError } from "../kernel/index.ts";
import type { Destination, Named } from "../policy/index.ts";
import { saveProof } from "../repository/index.ts";
import type { Repository } from "../repository/index.ts";
import type { OperationContext } from "./context.ts";
import { operationError } from "./errors.ts";
import type { ReadBack } from "./read-back.ts";
import { recordedConnection } from "./used-connection.ts";

/** restic's REST protocol has no folder for records of ours; `beside` names another place for them. */
export function hasRoomForRecords({ url, beside }: Pick<Destination, "url" | "beside">): boolean {
  return !url.startsWith("rest:") || beside !== undefined;
}

export function requireRoomForRecords(destination: Named<Destination>): void {
  if (hasRoomForRecords(destination)) return;
  throw operationError("no_room_for_records", {
    message: `destination ${destination.name} that has no room for records`,
    subject: { destination: destination.name },
  });
}

export interface PointToProve {
  readonly repository: Repository;
  readonly snapshot: string;
  /** Whether the destination has room for records. */
  readonly records: boolean;
}

export interface ProvenPoint {
  readonly state: "verified" | "stored";
  /** Why it is no more than `stored`. */
  readonly stateReason?: string;
  readonly readBack: ReadBack;
}

/** In records of what a program saw, not a person. */
export function proverOf({ version, hostname }: OperationContext): string {
  return `sparekeep ${version} on ${hostname}`;
}

/**
 * Looks at a new point (`readBack`) and records what that showed: `verified` is durable before the run is called a success, `suspect`
 * before the difference is thrown. A store that is away proves nothing and leaves the point `stored`.
 */
export async function provePoint(
  context: OperationContext,
  { repository, snapshot, records }: PointToProve,
  look: () => Promise<ReadBack>,
): Promise<ProvenPoint> {
  const { signal } = context;
  const by = proverOf(context);
  let seen: ReadBack;
  try {
    seen = await look();
  } catch (thrown) {
    if (records && thrown instanceof AppError && thrown.kind === "corrupt") {
      await doubt(repository, snapshot, by, thrown);
    }
    throw thrown;
  }
  if (!records) {
    const stateReason = "the destination has no room for records; name a folder with `beside`";
    return { state: "stored", stateReason, readBack: seen };
  }
  const { files, sizeBytes } = seen;
  const details = { how: "read back", files, sizeBytes, ...recordedConnection(repository) };
  await saveProof(repository, { snapshot, state: "verified", by, details }, { signal });
  return { state: "verified", readBack: seen };
}

/** Not stopped by an abort: a point known to differ must not be left looking like any other. */
async function doubt(
  repository: Repository,
  snapshot: string,
  by: string,
  found: AppError,
): Promise<void> {
  const details = { how: "read back", code: found.code, message: found.message };
  try {
    await saveProof(repository, { snapshot, state: "suspect", by, details });
  } catch (thrown) {
    throw operationError("read_back_differs", {
      message: `${found.message}; and it could not be marked as suspect`,
      subject: { ...found.subject, snapshot },
      cause: new AggregateError([found, thrown]),
    });
  }
}
