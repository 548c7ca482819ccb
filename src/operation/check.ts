/*
 * effects
 *   reads         every index, snapshot and tree; with --read-data every pack in full, with --read-data-subset or --rolling some
 *   writes        one audit record; one record of what was found and read under sparekeep/checks/, now and then in place of older ones; with --read-data, where all is good, records that points are verified; where damage takes points, records that they are suspect
 *   locks         none
 *   leaves behind nothing
 *   exit codes    0; 2 --rolling without room to remember; 3 a part was not read; 10 no repository; 12 wrong password; 20 something is damaged
 */
import { AppError } from "../kernel/index.ts";
import { destinationNamed, parseSpan } from "../policy/index.ts";
import type { CalendarSpan, Destination, Policy } from "../policy/index.ts";
import {
  checkAndRemember,
  damagedSnapshots,
  readableSnapshots,
  outcomeOf,
  parseReadSubset,
  proofsOf,
  saveProof,
} from "../repository/index.ts";
import type {
  CheckFinding,
  ReadChoice,
  ReadCoverage,
  Repository,
  Snapshot,
} from "../repository/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OnProgress, OperationContext, Progress } from "./context.ts";
import { operationError } from "./errors.ts";
import { openDestination, recordedView } from "./open.ts";
import type { View } from "./open.ts";
import { hasRoomForRecords } from "./prove.ts";
import { recordedConnection, usedConnection } from "./used-connection.ts";
import type { UsedConnection } from "./used-connection.ts";

export interface CheckRepositoryOptions extends View {
  readonly policy: Policy;
  readonly destination?: string;
  readonly readData: boolean;
  /** As restic's `--read-data-subset`: `n/t`, `x%`, or a size. */
  readonly subset?: string;
  /** Read what is due, so that everything is read once within a time. */
  readonly rolling?: boolean;
  /** `30 days`; by default what the destination's `check.everything_every` says, or 30 days. */
  readonly within?: string;
  readonly onProgress?: OnProgress;
}

export interface CheckResult extends UsedConnection {
  readonly destination: string;
  readonly location: string;
  readonly readData: boolean;
  /** Of what was looked at. `incomplete`: a part of it could not be read. */
  readonly outcome: "clean" | "damaged" | "incomplete";
  readonly findings: readonly CheckFinding[];
  readonly snapshots: number;
  readonly packs: number;
  readonly blobs: number;
  readonly readPacks: number;
  readonly readBytes: number;
  readonly totalBytes: number;
  /** Packs that were to be read and were not. */
  readonly unread: { readonly packs: number; readonly code?: string; readonly message?: string };
  /** How much of the repository was read within the time, by all checks that are remembered. */
  readonly coverage: ReadCoverage;
  /** Whether the next check knows of this one. */
  readonly remembered: boolean;
  /** Points that were stored and are verified now: every blob of theirs was read in this check, and is good. */
  readonly verified: readonly string[];
  /** Points that are suspect from now on: the damage takes something of theirs. */
  readonly doubted: readonly string[];
  /** Why it was not said which points the damage takes. */
  readonly unjudged?: { readonly code: string; readonly message: string };
  readonly durationMs: number;
}

const DEFAULT_WITHIN: CalendarSpan = {
  years: 0,
  months: 0,
  days: 30,
  hours: 0,
  minutes: 0,
  seconds: 0,
};

export async function checkRepository(
  context: OperationContext,
  options: CheckRepositoryOptions,
): Promise<CheckResult> {
  const destination = destinationNamed(options.policy, options.destination);
  const startedMs = context.clock.monotonicMs();
  const withinMs = withinOf(context, destination, options);
  const read = choiceOf(options, withinMs);
  const remember = hasRoomForRecords(destination);
  if (options.rolling === true && !remember) throw noRoom(destination.name);
  await recordAccess(context, options.policy, "check", {
    destination: destination.name,
    readData: readText(options),
    ...recordedView(options),
  });
  const repository = await openDestination(context, destination, {
    ...options,
    next: read === "none" ? "check" : "check data",
  });
  const { onProgress } = options;
  // Before the check reads the list: of what comes later it may not have read everything.
  const points = await pointsToJudge(context, repository, read);
  const report = await checkAndRemember(repository, {
    read,
    withinMs,
    remember,
    signal: context.signal,
    ...(onProgress === undefined ? {} : { onProgress: (progress) => onProgress(shown(progress)) }),
  });
  const { findings, unreadPacks, unreadReason, readPacks, readBytes, totalBytes } = report;
  const { snapshots, packs, blobs, coverage, remembered } = report;
  const damaged = findings.some((finding) => finding.severity === "error");
  const allGood = read === "all" && !damaged && unreadPacks === 0 && readPacks === packs;
  const verified = allGood && remembered ? await verifyPoints(context, repository, points) : [];
  const judged = damaged ? await judgePoints(context, repository, report) : NONE;
  return {
    destination: destination.name,
    location: repository.location,
    readData: read !== "none",
    outcome: damaged ? "damaged" : unreadPacks > 0 ? "incomplete" : "clean",
    findings,
    snapshots,
    packs,
    blobs,
    readPacks,
    readBytes,
    totalBytes,
    coverage,
    remembered,
    verified,
    ...judged,
    unread: { packs: unreadPacks, ...reasonOf(unreadReason) },
    durationMs: context.clock.monotonicMs() - startedMs,
    ...usedConnection(repository),
  };
}

function reasonOf(error: AppError | undefined): { code?: string; message?: string } {
  return error === undefined ? {} : { code: error.code, message: error.message };
}

function readText({ rolling, subset, readData }: CheckRepositoryOptions): string {
  return rolling === true ? "rolling" : (subset ?? String(readData));
}

function choiceOf(options: CheckRepositoryOptions, withinMs: number): ReadChoice {
  const { readData, subset: text, rolling } = options;
  if (Number(readData) + Number(text !== undefined) + Number(rolling === true) > 1) {
    throw operationError("check_option", {
      message: "more than one of --read-data, --read-data-subset and --rolling",
    });
  }
  if (rolling === true) return { rollingMs: withinMs };
  if (text === undefined) return readData ? "all" : "none";
  const subset = parseReadSubset(text);
  if (subset !== undefined) return { subset };
  throw operationError("check_option", {
    message: `subset "${text.slice(0, 40)}" that is none`,
    hint: "Write a part like 2/5, a percentage like 10%, or a size like 50G.",
  });
}

function withinOf(
  { clock }: OperationContext,
  destination: Destination,
  { within }: CheckRepositoryOptions,
): number {
  const span =
    within === undefined
      ? (destination.check?.everything_every ?? DEFAULT_WITHIN)
      : parseSpan(within);
  if (span !== undefined) return spanMs(span, clock.now());
  throw operationError("check_option", {
    message: `time "${(within ?? "").slice(0, 40)}" that is none`,
    hint: "Write it like 30 days or 12h.",
  });
}

/** Months and years are the calendar's, the ones that end now. */
function spanMs(span: CalendarSpan, now: Date): number {
  const from = new Date(now);
  from.setUTCFullYear(from.getUTCFullYear() - span.years, from.getUTCMonth() - span.months);
  const { days, hours, minutes, seconds } = span;
  const rest = ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
  return now.getTime() - from.getTime() + rest * 1000;
}

/** Of ours, and only where nothing is proven yet: a doubt stays, and so does what is proven better. */
async function verifyPoints(
  { signal, version, hostname }: OperationContext,
  repository: Repository,
  points: readonly Snapshot[],
): Promise<readonly string[]> {
  const proofs = await proofsOf(repository, { signal });
  const there = new Set<string>((await repository.snapshots({ signal })).map(({ id }) => id));
  const by = `sparekeep ${version} on ${hostname}`;
  const details = { how: "check --read-data", ...recordedConnection(repository) };
  const verified: string[] = [];
  for (const snapshot of points) {
    const { id } = snapshot;
    const stored = (proofs.get(id)?.state ?? "stored") === "stored";
    if (outcomeOf(snapshot) === "foreign" || !stored || !there.has(id)) continue;
    await saveProof(repository, { snapshot: id, state: "verified", by, details }, { signal });
    verified.push(id);
  }
  return verified;
}

/** Of a repository of which a snapshot file is damaged nothing is verified. */
async function pointsToJudge(
  { signal }: OperationContext,
  repository: Repository,
  read: ReadChoice,
): Promise<readonly Snapshot[]> {
  if (read !== "all") return [];
  try {
    return await repository.snapshots({ signal });
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === "repository.snapshot_damaged") return [];
    throw thrown;
  }
}

type Judged = Pick<CheckResult, "doubted" | "unjudged">;

const NONE: Judged = { doubted: [] };

/** What a check found is told, whatever becomes of its records. */
async function judgePoints(
  context: OperationContext,
  repository: Repository,
  report: { readonly findings: readonly CheckFinding[]; readonly remembered: boolean },
): Promise<Judged> {
  if (!report.remembered) {
    const message = "records may not be written beside this repository";
    return { ...NONE, unjudged: { code: "operation.checks_not_remembered", message } };
  }
  try {
    return { doubted: await doubtPoints(context, repository, report) };
  } catch (thrown) {
    if (!(thrown instanceof AppError) || context.signal.aborted) throw thrown;
    return { ...NONE, unjudged: { code: thrown.code, message: thrown.message } };
  }
}

/**
 * A point that does not come back whole must not go on as `verified`: retention would count on it. Foreign snapshots have no
 * proof state.
 */
async function doubtPoints(
  context: OperationContext,
  repository: Repository,
  { findings }: { readonly findings: readonly CheckFinding[] },
): Promise<readonly string[]> {
  const { signal, version, hostname } = context;
  const { snapshots, damaged: unreadable } = await readableSnapshots(repository, { signal });
  const ours = snapshots.filter((snapshot) => outcomeOf(snapshot) !== "foreign");
  const proofs = await proofsOf(repository, { signal });
  const by = `sparekeep ${version} on ${hostname}`;
  const codes = [
    ...new Set(findings.flatMap(({ severity, code }) => (severity === "error" ? code : []))),
  ];
  const details = { how: "check", codes: codes.toSorted().join(" ") };
  const doubted: string[] = [];
  const damaged = await damagedSnapshots(repository, ours, findings, { signal });
  // A file that cannot be read tells not even whether it was ours: its proof does.
  const known = unreadable.flatMap(({ id }) => (proofs.has(id) ? id : []));
  for (const id of [...damaged, ...known]) {
    if (proofs.get(id)?.state === "suspect") continue;
    await saveProof(repository, { snapshot: id, state: "suspect", by, details }, { signal });
    doubted.push(id);
  }
  return doubted;
}

function noRoom(destination: string): AppError {
  return operationError("checks_not_remembered", {
    message: `rolling check of ${destination}, where nothing can be remembered`,
    subject: { destination },
  });
}

/** "snapshot 3 of 20" is a place within one step, not a step of its own. */
function shown(progress: { doneBytes: number; totalBytes: number; step: string }): Progress {
  const count = /^snapshot (\d+) of (\d+)$/.exec(progress.step);
  if (count === null) return progress;
  const objects = { done: Number(count[1]), total: Number(count[2]) };
  return { step: "snapshots", doneBytes: 0, totalBytes: 0, objects };
}
