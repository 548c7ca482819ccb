/*
 * effects
 *   reads         of the source: indexes, snapshots, and what the copy lacks; of the copy: indexes, snapshots, new trees
 *   writes        audit records; to the copy: packs, indexes, snapshots, and records of holds, erasures and doubts; with `lock:` Object Lock on all that they need
 *   locks         shared, in the copy; shared in the source, where its credentials may write there
 *   leaves behind interrupted: packs that the next copy uses, or a prune removes
 *   exit codes    0; 3 a snapshot or a copy is missing; 10 no repository; 11 locked; 12 wrong password; 20; 130
 */
import { AppError, throwIfAborted, toAppError } from "../kernel/index.ts";
import { destinationNamed, repositoryNames } from "../policy/index.ts";
import type { Named, Policy, RepositoryDestination } from "../policy/index.ts";
import { carryDoubts, carryRecords, executeCopy, planCopy } from "../repository/index.ts";
import type {
  CarriedRecords,
  CopyPlan,
  CopyResult,
  Repository,
  Snapshot,
} from "../repository/index.ts";
import { resolveSecret } from "../secrets/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OnProgress, OperationContext } from "./context.ts";
import { operationError } from "./errors.ts";
import { openDestination } from "./open.ts";
import { lockHooks, lockPresent, pointLocker } from "./point-lock.ts";
import { hasRoomForRecords } from "./prove.ts";
import { describeSnapshot } from "./snapshots.ts";
import { usedConnection } from "./used-connection.ts";
import type { Connection, UsedConnection } from "./used-connection.ts";

export interface CopyPointsOptions {
  readonly policy: Policy;
  /** Only copies of this destination; of all that name copies when left out. */
  readonly destination?: string;
  /** Only this copy. */
  readonly to?: string;
  /** Only points of this plan. */
  readonly plan?: string;
  /** These, good or not, in place of every good point. */
  readonly snapshots?: readonly string[];
  readonly onProgress?: OnProgress;
}

export interface CopyPreview {
  readonly from: string;
  readonly to: string;
  readonly plan: CopyPlan;
  /** Not copied without being named: points that lack something, and other tools' snapshots. */
  readonly leftOut: { readonly incomplete: number; readonly foreign: number };
  /** Whoever knows the password of one reads both: a copy should have its own. */
  readonly samePassword: boolean;
}

/** `connection` is the one to the copy. */
export interface CopyOutcome extends CopyResult, UsedConnection {
  readonly from: string;
  readonly to: string;
  readonly records: readonly CarriedRecords[];
  readonly samePassword: boolean;
  /** Of a copy with a lock: the earliest end of what this run locked, as read back. */
  readonly lockedUntil?: string;
  /** The one to the source. */
  readonly sourceConnection?: Connection;
}

export interface CopyTrouble {
  readonly from: string;
  readonly to: string;
  readonly code: string;
  readonly message: string;
}

export interface CopiesResult {
  readonly outcome: "complete" | "incomplete";
  readonly copies: readonly CopyOutcome[];
  /** Copies that could not be made at all, while others could. */
  readonly failed: readonly CopyTrouble[];
}

export interface PlannedCopies {
  readonly previews: readonly CopyPreview[];
  readonly failed: readonly CopyTrouble[];
  execute(): Promise<CopiesResult>;
}

/** What a copy protects as the original does: who may not be forgotten, and what was erased. */
const CARRIED = ["holds", "erasures"] as const;

interface Pair {
  readonly from: Named<RepositoryDestination>;
  readonly to: Named<RepositoryDestination>;
}

interface OpenedPair extends Pair {
  readonly source: Repository;
  readonly target: Repository;
  readonly preview: CopyPreview;
}

export async function planCopies(
  context: OperationContext,
  options: CopyPointsOptions,
): Promise<PlannedCopies> {
  const pairs = pairsOf(options);
  const opened: OpenedPair[] = [];
  const failed: CopyTrouble[] = [];
  for (const pair of pairs) {
    await record(context, options, pair, "plan");
    await orTrouble(context, pair, failed, pairs.length, async () => {
      opened.push(await openPair(context, pair, options));
    });
  }
  return {
    previews: opened.map(({ preview }) => preview),
    failed,
    execute: async () => {
      const copies: CopyOutcome[] = [];
      const all = [...failed];
      for (const pair of opened) {
        await record(context, options, pair, "execute");
        await orTrouble(context, pair, all, pairs.length, async () => {
          copies.push(await copyPair(context, pair, options));
        });
      }
      const whole = all.length === 0 && copies.every(({ outcome }) => outcome === "complete");
      return { outcome: whole ? "complete" : "incomplete", copies, failed: all };
    },
  };
}

/** Each copy that the policy names, of the destinations asked for. */
function pairsOf({ policy, destination, to }: CopyPointsOptions): readonly Pair[] {
  const names = destination === undefined ? repositoryNames(policy) : [destination];
  const pairs = names.flatMap((name) => {
    const from = destinationNamed(policy, name);
    return (from.copies ?? [])
      .filter((copy) => to === undefined || copy === to)
      .map((copy) => ({ from, to: destinationNamed(policy, copy) }));
  });
  if (pairs.length > 0) return pairs;
  const whose = destination === undefined ? "any destination" : `destination ${destination}`;
  throw operationError("no_copies", {
    message: to === undefined ? `no copies of ${whose}` : `${to}, which is no copy of ${whose}`,
    ...(destination === undefined ? {} : { subject: { destination } }),
  });
}

async function record(
  context: OperationContext,
  { policy, plan, snapshots }: CopyPointsOptions,
  { from, to }: Pair,
  step: string,
): Promise<void> {
  await recordAccess(context, policy, "copy", {
    step,
    destination: from.name,
    copy: to.name,
    ...(plan === undefined ? {} : { plan }),
    ...(snapshots === undefined ? {} : { snapshots: snapshots.join(" ") }),
  });
}

async function openPair(
  context: OperationContext,
  pair: Pair,
  options: CopyPointsOptions,
): Promise<OpenedPair> {
  const { signal } = context;
  const source = await openDestination(context, pair.from);
  const target = await openDestination(context, pair.to);
  const named = new Set<string>();
  for (const reference of options.snapshots ?? []) {
    named.add((await source.resolveSnapshot(reference, { signal })).id);
  }
  const leftOut = { incomplete: 0, foreign: 0 };
  const select = (snapshot: Snapshot): boolean => {
    const { plan, outcome } = describeSnapshot(snapshot);
    if (options.plan !== undefined && plan !== options.plan) return false;
    if (options.snapshots !== undefined) return named.has(snapshot.id);
    if (outcome !== "complete") leftOut[outcome] += 1;
    return outcome === "complete";
  };
  const plan = await planCopy(source, target, { select, signal });
  const [one, other] = await Promise.all(
    [pair.from, pair.to].map(({ password }) => resolveSecret(password, context.env)),
  );
  const samePassword = one?.reveal() === other?.reveal();
  const preview = { from: pair.from.name, to: pair.to.name, plan, leftOut, samePassword };
  return { ...pair, source, target, preview };
}

async function copyPair(
  context: OperationContext,
  { from, to, source, target, preview }: OpenedPair,
  { policy, onProgress }: CopyPointsOptions,
): Promise<CopyOutcome> {
  const { signal, hostname, actor, pid } = context;
  const locker = pointLocker(context, policy, to, target);
  const result = await executeCopy(source, target, preview.plan, {
    hostname,
    username: actor,
    pid,
    signal,
    ...lockHooks(locker),
    onProgress: ({ snapshots, doneBytes, totalBytes }) =>
      onProgress?.({
        step: `copy to ${to.name}`,
        doneBytes,
        totalBytes,
        current: `snapshot ${snapshots.done + 1} of ${snapshots.total}`,
      }),
  });
  const pairs = [...result.present, ...result.copied];
  const records = await carryRecords(source, target, CARRIED, pairs, signal);
  if ([from, to].every(hasRoomForRecords)) await carryDoubts(source, target, pairs, signal);
  const present = result.present.map(({ copy }) => copy);
  const locked = await lockPresent(context, locker, target, present);
  const { connection: sourceConnection } = usedConnection(source);
  return {
    ...result,
    from: from.name,
    to: to.name,
    records,
    samePassword: preview.samePassword,
    ...locked,
    ...usedConnection(target),
    ...(sourceConnection === undefined ? {} : { sourceConnection }),
  };
}

/** One copy that cannot be made does not stop the others; where there is but one, its error is the answer. */
async function orTrouble(
  context: OperationContext,
  { from, to }: Pair,
  failed: CopyTrouble[],
  pairs: number,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    throwIfAborted(context.signal);
    if (pairs === 1 || !(thrown instanceof AppError) || thrown.kind === "bug") throw thrown;
    const { code, message } = toAppError(thrown);
    failed.push({ from: from.name, to: to.name, code, message });
  }
}
