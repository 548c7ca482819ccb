import { probeObjectLock } from "../objectstore/index.ts";
import type { LockProbe } from "../objectstore/index.ts";
import type { Destination } from "../policy/index.ts";
import { lockedUntil } from "../repository/index.ts";
import type { Repository, Snapshot } from "../repository/index.ts";
import type { OperationContext } from "./context.ts";
import type { Finding } from "./doctor.ts";
import { openStore, versionDeleter } from "./open.ts";

type Lock = NonNullable<Destination["lock"]>;

/** Whether what the policy says of Object Lock is so: the store has it, holds it, and these credentials cannot pass it. */
export async function examineLock(
  context: OperationContext,
  subject: string,
  destination: Destination,
  { repository, newest }: { readonly repository: Repository; readonly newest?: Snapshot },
): Promise<readonly Finding[]> {
  if (destination.lock === undefined) return [];
  const store = await openStore(context, destination);
  if (store.lock === undefined || store.versions === undefined) {
    const message = "the policy locks recovery points, and the store has no Object Lock";
    const fix = "Use a bucket that was created with versioning and Object Lock.";
    return [{ status: "fail", subject, message, fix }];
  }
  const { signal, random } = context;
  const deleteVersion = versionDeleter(context, destination);
  const probe =
    deleteVersion === undefined
      ? undefined
      : await probeObjectLock(store, { deleteVersion, random, signal });
  return [
    ...(probe === undefined
      ? [notTried(subject)]
      : probeFindings(subject, destination.lock, probe)),
    ...(newest === undefined ? [] : [await pointFinding(context, subject, repository, newest)]),
  ];
}

function notTried(subject: string): Finding {
  const message = "whether the store holds its locks against deletion was not tried";
  const fix = "Try it by hand: delete the version of an object that is locked.";
  return { status: "warn", subject, message, fix };
}

function probeFindings(subject: string, { mode }: Lock, probe: LockProbe): readonly Finding[] {
  if (!probe.enforced) {
    const message = "the store deleted a version that was locked: its Object Lock holds nothing";
    const fix = "Use another store, or turn Object Lock on for this bucket.";
    return [{ status: "fail", subject, message, fix }];
  }
  const findings: Finding[] = [];
  if (probe.bypassed) {
    const message = "these credentials may pass over governance mode: so may their thief";
    const fix =
      "Take s3:BypassGovernanceRetention from them (docs/guides/s3.md), or lock in compliance mode.";
    findings.push({ status: mode === "governance" ? "fail" : "warn", subject, message, fix });
  }
  if (probe.deletesVersions) {
    const message = "these credentials may delete versions: what carries no lock is not held";
    const fix = "Take s3:DeleteObjectVersion from them (docs/guides/s3.md).";
    findings.push({ status: "warn", subject, message, fix });
  }
  if (probe.locksByDefault) {
    const message = "the bucket locks whatever is put, the lock files of writers too";
    const fix = "Remove the bucket's default retention: each point locks what it needs.";
    findings.push({ status: "warn", subject, message, fix });
  }
  const message = "the store holds locked versions against deletion, as tried";
  return findings.length > 0 ? findings : [{ status: "ok", subject, message }];
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
    const message = `${point} locked in ${held.mode} mode until ${held.until.toISOString()}`;
    return { status: "ok", subject, message };
  }
  const message = `${point} or something that it needs carries no lock`;
  return { status: "warn", subject, message, fix: "Run a backup: it locks all that it needs." };
}
