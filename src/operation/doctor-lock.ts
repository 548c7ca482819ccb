import { formatTime } from "../kernel/index.ts";
import type { ObjectStore, StoreFacts } from "../objectstore/index.ts";
import type { Destination } from "../policy/index.ts";
import { lockedUntil } from "../repository/index.ts";
import type { Repository, Snapshot } from "../repository/index.ts";
import type { OperationContext } from "./context.ts";
import type { Finding } from "./finding.ts";

type Lock = NonNullable<Destination["lock"]>;

export interface LookedAt {
  readonly store: ObjectStore;
  /** As probed; `undefined` where it was not. */
  readonly facts: StoreFacts | undefined;
  readonly repository: Repository;
  readonly newest?: Snapshot;
}

/** Whether what the policy says of Object Lock is so: the store has it, holds it, and these credentials cannot pass it. */
export async function examineLock(
  context: OperationContext,
  subject: string,
  destination: Destination,
  { store, facts, repository, newest }: LookedAt,
): Promise<readonly Finding[]> {
  if (destination.lock === undefined) return [];
  if (store.lock === undefined || store.versions === undefined) {
    const message = "the policy locks recovery points, and the store has no Object Lock";
    const fix = "Use a bucket that was created with versioning and Object Lock.";
    return [{ status: "fail", subject, message, fix }];
  }
  return [
    probeFinding(subject, destination.lock, facts),
    ...(newest === undefined ? [] : [await pointFinding(context, subject, repository, newest)]),
  ];
}

function probeFinding(subject: string, { mode }: Lock, facts: StoreFacts | undefined): Finding {
  if (facts?.lock === "not enforced" || facts?.lock === "none") {
    const message = "the store deleted a version that was locked: its Object Lock holds nothing";
    const fix = "Use another store, or turn Object Lock on for this bucket.";
    return { status: "fail", subject, message, fix };
  }
  if (facts === undefined || facts.lock === "unknown") {
    const message = "whether the store holds its locks against deletion could not be tried";
    const fix = "Try it by hand: delete the version of an object that is locked.";
    return { status: "warn", subject, message, fix };
  }
  if (facts.lockBypass === true) {
    const message = "these credentials may pass over governance mode: so may their thief";
    const fix =
      "Take s3:BypassGovernanceRetention from them (docs/guides/s3.md), or lock in compliance mode.";
    return { status: mode === "governance" ? "fail" : "warn", subject, message, fix };
  }
  const message = "the store holds locked versions against deletion, as tried";
  return { status: "ok", subject, message };
}

async function pointFinding(
  { signal }: OperationContext,
  subject: string,
  repository: Repository,
  newest: Snapshot,
): Promise<Finding> {
  const held = await lockedUntil(repository, newest, { signal });
  const point = `newest point ${newest.id.slice(0, 8)}`;
  if (held !== undefined) {
    const message = `${point} locked in ${held.mode} mode until ${formatTime(held.until)}`;
    return { status: "ok", subject, message };
  }
  const message = `${point} or something that it needs carries no lock`;
  return { status: "warn", subject, message, fix: "Run a backup: it locks all that it needs." };
}
