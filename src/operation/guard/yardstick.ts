import { AppError, formatTime } from "../../kernel/index.ts";
import {
  holdsSchemaOnly,
  outcomeOf,
  planOf,
  proofOf,
  proofsOf,
  readableSnapshots,
  sourceOf,
} from "../../repository/index.ts";
import type { Proof, Repository, Snapshot } from "../../repository/index.ts";
import { readManifest } from "../manifest-of.ts";
import type { GuardFinding } from "./judge.ts";
import { sizesOf } from "./sizes.ts";
import type { PointSizes } from "./sizes.ts";

/** What a new point of a plan is compared with: read from the repository each time, so that nobody's cache decides. */
export interface Yardstick {
  readonly snapshot?: Snapshot;
  readonly sizes?: PointSizes;
  /** What should have been compared with and cannot be: never the same as having nothing to compare with. */
  readonly findings: readonly GuardFinding[];
  /** In words, where the plan has no good point yet. */
  readonly nothing?: string;
}

export interface YardstickQuestion {
  readonly plan: string;
  readonly source: string;
  /** False where the store has no room for records: every point is then as good as `stored`. */
  readonly records: boolean;
  readonly signal: AbortSignal;
}

/** Manifests that are tried where the newest ones cannot be read. */
const TRIES = 5;

/**
 * The newest point of the plan and source that is whole, not suspect and verified; where none was ever verified, one that is
 * no more than stored: to compare with too much can only find more.
 */
export async function findYardstick(
  repository: Repository,
  question: YardstickQuestion,
): Promise<Yardstick> {
  const { signal } = question;
  const findings: GuardFinding[] = [];
  const { snapshots, damaged } = await readableSnapshots(repository, { signal });
  for (const { id, error } of damaged) findings.push(unreadable(id, error));
  const proofs = await proofsOrFinding(repository, question, findings);
  const points = snapshots.filter(
    (each) =>
      planOf(each) === question.plan &&
      sourceOf(each) === question.source &&
      // Of a plan that once captured the schema alone: without a row there is nothing to lose.
      !holdsSchemaOnly(each),
  );
  const whole = points.filter((each) => outcomeOf(each) === "complete").toReversed();
  const stateOf = (each: Snapshot): string => proofOf(proofs, each)?.state ?? "stored";
  const good = whole.filter((each) => stateOf(each) !== "suspect");
  const proven = good.filter((each) => stateOf(each) !== "stored");
  const found = await firstReadable(
    repository,
    proven.length > 0 ? proven : good,
    findings,
    signal,
  );
  if (found !== undefined) return { ...found, findings };
  if (findings.length > 0) return { findings };
  if (whole.length > 0) return { findings: [allSuspect(whole)] };
  const nothing =
    points.length === 0
      ? `this is the first point of plan ${question.plan}`
      : `of the ${points.length} points of plan ${question.plan} none is whole`;
  return { findings, nothing };
}

async function proofsOrFinding(
  repository: Repository,
  { records, signal }: YardstickQuestion,
  findings: GuardFinding[],
): Promise<ReadonlyMap<string, Proof>> {
  if (!records) return new Map();
  try {
    return await proofsOf(repository, { signal });
  } catch (thrown) {
    findings.push(unreadable("proofs", thrown));
    return new Map();
  }
}

async function firstReadable(
  repository: Repository,
  candidates: readonly Snapshot[],
  findings: GuardFinding[],
  signal: AbortSignal,
): Promise<{ readonly snapshot: Snapshot; readonly sizes: PointSizes } | undefined> {
  if (candidates.length === 0) return undefined;
  const reader = await repository.acquireReader({ signal });
  for (const snapshot of candidates.slice(0, TRIES)) {
    try {
      const { database } = await readManifest(reader, snapshot, signal);
      return { snapshot, sizes: sizesOf(database) };
    } catch (thrown) {
      findings.push(unreadable(snapshot.id, thrown));
    }
  }
  return undefined;
}

/** A store that is away, or an interruption, is nobody's damage: the run ends with it. */
const DAMAGE: ReadonlySet<string> = new Set(["corrupt", "not-found", "incompatible", "auth"]);

function unreadable(object: string, thrown: unknown): GuardFinding {
  if (!(thrown instanceof AppError) || !DAMAGE.has(thrown.kind)) throw thrown;
  const what =
    object === "proofs" ? "the proofs of earlier points" : `snapshot ${object.slice(0, 8)}`;
  const message = `${what}, which this point should be compared with, cannot be read: ${thrown.message}`;
  return { code: "yardstick_unreadable", object, message };
}

function allSuspect(whole: readonly Snapshot[]): GuardFinding {
  const [newest] = whole;
  const ids = newest === undefined ? "" : `, the newest of ${formatTime(newest.time)}`;
  const message = `nothing to compare with: every whole point of the plan is suspect (${whole.length}${ids})`;
  return { code: "yardstick_suspect", object: newest?.id ?? "", message };
}
