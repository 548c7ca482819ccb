/*
 * effects
 *   reads         the whole old repository; the new one
 *   writes        audit records; a new repository with a random master key, and everything into it; with `lock:` Object Lock on it
 *   locks         shared, in both
 *   leaves behind the old repository, as it was; interrupted: a new one that the same command completes
 *   exit codes    0; 3 a snapshot could not be moved; 2 the place is taken; 10 no repository; 12 wrong password; 20; 130
 */
import { AppError } from "../kernel/index.ts";
import { destinationNamed } from "../policy/index.ts";
import type { RepositoryDestination, Policy } from "../policy/index.ts";
import { carryRecords, executeCopy, planCopy } from "../repository/index.ts";
import type { CarriedRecords, CheckFinding, CopyResult, Repository } from "../repository/index.ts";
import { resolveSecret } from "../secrets/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OnProgress, OperationContext } from "./context.ts";
import { operationError } from "./errors.ts";
import { openOrCreate } from "./init.ts";
import { wrapForDestination } from "./key.ts";
import { openDestination, openStore } from "./open.ts";
import { lockHooks, lockPresent, pointLocker } from "./point-lock.ts";

export interface RekeyOptions {
  readonly policy: Policy;
  readonly destination?: string;
  /** Where to: a destination of the policy, or a place of its own. */
  readonly to: string | RepositoryDestination;
  /** Also read every byte of the new repository. */
  readonly readData: boolean;
  readonly onProgress?: OnProgress;
}

export interface RekeyPreview {
  readonly from: { readonly location: string; readonly repository: string };
  readonly to: string;
  /** False: an interrupted call had made it, and this one goes on. */
  readonly create: boolean;
  /** Snapshots to move, and those that are there. */
  readonly snapshots: number;
  readonly present: number;
}

export interface RekeyResult {
  readonly outcome: "complete" | "incomplete";
  readonly copy: CopyResult;
  readonly records: readonly CarriedRecords[];
  /** Of a check of the new repository; errors make the outcome incomplete. */
  readonly findings: readonly CheckFinding[];
  /** Snapshots of the old one that the new one does not hold with the same tree. */
  readonly missing: readonly string[];
  /** Of a place with a lock: the earliest end of what this run locked, as read back. */
  readonly lockedUntil?: string;
}

export interface PlannedRekey {
  readonly preview: RekeyPreview;
  execute(): Promise<RekeyResult>;
}

/** What is said of packs and key files means nothing under other names; the rest moves. */
const MOVED = ["holds", "proofs", "erasures"] as const;

export async function planRekey(
  context: OperationContext,
  options: RekeyOptions,
): Promise<PlannedRekey> {
  const { policy } = options;
  const { signal } = context;
  const from = destinationNamed(policy, options.destination);
  const to =
    typeof options.to === "string"
      ? destinationNamed(policy, options.to)
      : { ...options.to, name: options.to.url };
  const record = (step: string): Promise<void> =>
    recordAccess(context, policy, "rekey", {
      step,
      destination: from.name,
      to: to.name,
    });
  await record("plan");
  const password = await resolveSecret(to.password, context.env);
  const old = await resolveSecret(from.password, context.env);
  if (old.reveal() === password.reveal()) {
    throw operationError("rekey_same_password", {
      message: "one password for the old and the new repository",
    });
  }
  const source = await openDestination(context, from);
  const target = await openIfThere(context, to);
  const location = (await openStore(context, to)).location;
  if (target !== undefined) await requireOwn(source, target, signal);
  const plan = target === undefined ? undefined : await planCopy(source, target, { signal });
  const all = (await source.snapshots({ signal })).length;
  return {
    preview: {
      from: { location: source.location, repository: source.id },
      to: location,
      create: target === undefined,
      snapshots: plan?.copy.length ?? all,
      present: plan?.present.length ?? 0,
    },
    execute: async () => {
      await record("execute");
      const { repository } = await openOrCreate(context, to, password, { policy });
      // The owners of the new password, before anything depends on it.
      if (to.owners !== undefined) await wrapForDestination(context, to, repository, password);
      return await move(context, source, { ...to, repository }, options);
    },
  };
}

async function openIfThere(
  context: OperationContext,
  destination: RepositoryDestination,
): Promise<Repository | undefined> {
  try {
    return await openDestination(context, destination);
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === "repository.not_found") return undefined;
    throw thrown;
  }
}

/** A repository of something else must not be taken for the new form of this one. */
async function requireOwn(
  source: Repository,
  target: Repository,
  signal: AbortSignal,
): Promise<void> {
  const own = new Set<string>();
  for (const { id, original } of await source.snapshots({ signal })) own.add(original ?? id);
  for (const { id, original } of await target.snapshots({ signal })) {
    if (own.has(original ?? id)) continue;
    throw operationError("rekey_target_taken", {
      message: `${target.location} with snapshot ${id.slice(0, 8)}, which ${source.location} does not hold`,
      subject: { snapshot: id, location: target.location },
    });
  }
}

async function move(
  context: OperationContext,
  source: Repository,
  to: Pick<RepositoryDestination, "lock"> & { readonly repository: Repository },
  { policy, readData, onProgress }: RekeyOptions,
): Promise<RekeyResult> {
  const { signal, hostname, actor, pid } = context;
  const target = to.repository;
  const locker = pointLocker(context, policy, to, target);
  await requireOwn(source, target, signal);
  const plan = await planCopy(source, target, { signal });
  const copy = await executeCopy(source, target, plan, {
    hostname,
    username: actor,
    pid,
    signal,
    ...lockHooks(locker),
    onProgress: ({ snapshots, doneBytes, totalBytes }) =>
      onProgress?.({
        step: "copy",
        doneBytes,
        totalBytes,
        current: `snapshot ${snapshots.done + 1} of ${snapshots.total}`,
      }),
  });
  const pairs = [...copy.present, ...copy.copied];
  const records = await carryRecords(source, target, MOVED, pairs, signal);
  const present = copy.present.map((pair) => pair.copy);
  const locked = await lockPresent(context, locker, target, present);
  const missing = await missingIn(source, target, signal);
  const { findings } = await target.check({
    readData,
    signal,
    onProgress: ({ doneBytes, totalBytes }) =>
      onProgress?.({ step: "check", doneBytes, totalBytes }),
  });
  const clean = findings.every(({ severity }) => severity !== "error");
  const whole = copy.outcome === "complete" && missing.length === 0 && clean;
  const outcome = whole ? "complete" : "incomplete";
  return { outcome, copy, records, findings, missing, ...locked };
}

/** Asked afresh of both: what was backed up into the old one meanwhile is missing too, and the next call moves it. */
async function missingIn(
  source: Repository,
  target: Repository,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { copy, present } = await planCopy(source, target, { signal });
  const trees = new Map<string, string>(
    (await target.snapshots({ signal })).map(({ id, tree }) => [id, tree]),
  );
  const olds = new Map<string, string>(
    (await source.snapshots({ signal })).map(({ id, tree }) => [id, tree]),
  );
  const other = present.filter((pair) => trees.get(pair.copy) !== olds.get(pair.source));
  return [...copy.map(({ id }) => id), ...other.map((pair) => pair.source)];
}
