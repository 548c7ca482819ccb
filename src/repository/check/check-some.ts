import { AppError } from "../../kernel/index.ts";
import { coreOf } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import type { CheckOptions, CheckReport, ReadSubset, Repository } from "../types.ts";
import { loadReadLog, saveRead } from "./read-log.ts";
import type { FoundByCheck, ReadLog } from "./read-log.ts";
import { duePacks, readCoverage } from "./rolling.ts";
import type { ReadCoverage } from "./rolling.ts";
import { chooseSubset } from "./subset.ts";

/**
 * A check that remembers in the repository what it read, for every machine.
 *
 *   1. records of earlier checks
 *   2. structure, and the data of the packs chosen: none, all, a subset, or those that are due
 *   3. one record of what was found and of the packs that were read and good, also where the store went away half way
 */
export type ReadChoice =
  | "none"
  | "all"
  | { readonly subset: ReadSubset }
  /** What is due so that everything is read once in so long. */
  | { readonly rollingMs: number };

export interface RememberingCheckOptions extends Pick<CheckOptions, "signal" | "onProgress"> {
  readonly read: ReadChoice;
  /** For `coverage`. */
  readonly withinMs: number;
  /** Off where the store has no room for records: nothing is known of earlier checks, or told to later ones. */
  readonly remember?: boolean;
}

export interface RememberedReport extends CheckReport {
  readonly coverage: ReadCoverage;
  /** Whether the next check will know of this one. A rolling check that cannot be remembered throws. */
  readonly remembered: boolean;
}

const NOTHING: ReadLog = { records: [], damaged: 0, readAt: () => undefined };

export async function checkAndRemember(
  repository: Repository,
  { read, withinMs, remember = true, ...options }: RememberingCheckOptions,
): Promise<RememberedReport> {
  const core = coreOf(repository);
  const isRolling = typeof read === "object" && "rollingMs" in read;
  const before = remember ? await readLogOf(core, isRolling, options.signal) : NOTHING;
  const report = await repository.check({
    ...options,
    readData: read !== "none",
    choose: (packs) => {
      if (read === "none") return [];
      if (read === "all") return packs.map(({ id }) => id);
      if ("subset" in read) return chooseSubset(packs, read.subset, core.random);
      return duePacks(packs, before, { now: core.clock.now(), withinMs: read.rollingMs });
    },
  });
  const now = core.clock.now();
  const existing = report.checkable.map(({ id }) => id);
  let remembered = false;
  if (before !== NOTHING) {
    try {
      const read = { at: now, packs: report.goodPacks, existing, check: foundBy(report) };
      await saveRead(core, before, read, options.signal);
      remembered = true;
    } catch (thrown) {
      // Credentials that may only read: the check is none the worse for it, unless it was to be remembered.
      if (isRolling || !isDenied(thrown)) throw thrown;
    }
  }
  const good = new Set(report.goodPacks);
  const readAt = (id: string): Date | undefined => (good.has(id) ? now : before.readAt(id));
  const coverage = readCoverage(report.checkable, { readAt }, { now, withinMs });
  return { ...report, coverage, remembered };
}

function foundBy({
  findings,
  packs,
  readPacks,
  unreadPacks,
}: CheckReport): Omit<FoundByCheck, "at"> {
  const errors = findings.filter(({ severity }) => severity === "error").length;
  return { errors, warnings: findings.length - errors, packs, readPacks, unreadPacks };
}

/** What the last check found that is remembered, by whatever machine it ran; `undefined`: none, or no room for records. */
export async function lastCheckOf(
  repository: Repository,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<FoundByCheck | undefined> {
  try {
    return (await loadReadLog(coreOf(repository), signal)).lastCheck;
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === "objectstore.no_place") return undefined;
    throw thrown;
  }
}

async function readLogOf(
  core: RepositoryCore,
  isRolling: boolean,
  signal?: AbortSignal,
): Promise<ReadLog> {
  try {
    return await loadReadLog(core, signal);
  } catch (thrown) {
    if (isRolling || !isDenied(thrown)) throw thrown;
    return NOTHING;
  }
}

function isDenied(thrown: unknown): boolean {
  return thrown instanceof AppError && thrown.code === "objectstore.denied";
}
