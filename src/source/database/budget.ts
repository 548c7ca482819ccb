/**
 * How long one moment may be read, and how far it may hold VACUUM back (I4). A snapshot keeps every row version that was
 * deleted since; a capture that would go on for days is ended with an error, never by the server's wraparound.
 */
import { formatDuration } from "../../kernel/index.ts";
import type { AppError, Clock } from "../../kernel/index.ts";
import { sourceError } from "../errors.ts";
import type { ControlSession } from "./control.ts";
import type { CaptureBudget } from "./types.ts";

/** The age is autovacuum_freeze_max_age as PostgreSQL ships it: from there on the server vacuums by force, in vain. */
export const DEFAULT_BUDGET: CaptureBudget = {
  durationMs: 24 * 3_600_000,
  xminAge: 200_000_000,
  lookEveryMs: 30_000,
};

export interface BudgetOptions {
  readonly budget: CaptureBudget;
  readonly clock: Clock;
  /** Waits for no lock of a table: a budget is spent while others wait. Stays open. */
  readonly control: ControlSession;
  /** The session that holds the snapshot. */
  readonly holderPid: number;
  /** Called once, with the reason why the capture has to end. */
  readonly onSpent: (error: AppError) => void;
}

/**
 * Looks from time to time until it is disposed; then nothing of it is under way.
 */
export function watchBudget(options: BudgetOptions): AsyncDisposable {
  const { budget, clock, control } = options;
  const startedMs = clock.monotonicMs();
  let looking: Promise<void> | undefined;
  let spent = false;
  const judge = (error: AppError | undefined): void => {
    if (error === undefined || spent) return;
    spent = true;
    options.onSpent(error);
  };
  const ticker = clock.every(budget.lookEveryMs, () => {
    judge(overTime(budget, clock.monotonicMs() - startedMs));
    if (spent) return;
    looking ??= overAge(control, options)
      .then(judge)
      // A source that does not answer fails the copies as well, and they say it; the next look asks again.
      .catch(() => undefined)
      .finally(() => (looking = undefined));
  });
  return {
    [Symbol.asyncDispose]: async () => {
      ticker[Symbol.dispose]();
      await looking;
    },
  };
}

function overTime(budget: CaptureBudget, elapsedMs: number): AppError | undefined {
  if (elapsedMs <= budget.durationMs) return undefined;
  return sourceError("budget_spent", {
    message: `snapshot that was read for more than ${formatDuration(budget.durationMs)}`,
    subject: { elapsedMs: Math.round(elapsedMs), budgetMs: budget.durationMs },
  });
}

async function overAge(
  control: ControlSession,
  { budget, holderPid }: BudgetOptions,
): Promise<AppError | undefined> {
  const [row] = await control.run((session) =>
    session.query<{ age: number | null }>(
      "SELECT pg_catalog.age(backend_xmin) AS age FROM pg_catalog.pg_stat_activity WHERE pid = $1",
      [holderPid],
    ),
  );
  // No row or no xmin: the holder is gone, which the next part to be read reports as snapshot_lost.
  const age = row?.age ?? 0;
  if (age <= budget.xminAge) return undefined;
  return sourceError("budget_spent", {
    message: `snapshot that holds VACUUM back by ${age} transactions`,
    subject: { xminAge: age, budget: budget.xminAge },
  });
}
