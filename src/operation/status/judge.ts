import { formatTime } from "../../kernel/index.ts";
import { addSpan } from "../../policy/index.ts";
import type { CalendarSpan } from "../../policy/index.ts";
import type {
  PlanFacts,
  PlanStatus,
  ProjectStatus,
  ProviderStatus,
  StatusFinding,
  StatusOutcome,
  StatusPoint,
} from "./types.ts";

/**
 * What is wrong with a plan, from facts. A fact that could not be read never counts as a good one; what nothing was
 * promised about is said to be unjudged. Pure. docs/spec/status.md
 */
export interface Judge {
  readonly now: Date;
  readonly timezone: string;
  /** The newest good point may be this old; nothing is judged by age without it. */
  readonly within?: CalendarSpan;
}

/** Clocks of two machines differ by this much without anybody noticing. */
const CLOCK_MS = 60_000;

export function judgePlan(facts: PlanFacts, judge: Judge): PlanStatus {
  const findings: StatusFinding[] = [];
  const unknown: string[] = [];
  const unjudged: string[] = [];
  let ageMs: number | undefined;
  if ("unknown" in facts.points) unknown.push(`points: ${facts.points.unknown}`);
  else {
    const { newest, newestGood, records, unreadable } = facts.points.known;
    unknown.push(...unreadable);
    findings.push(...ofPoints(facts, newest, newestGood, records));
    if (!records) unjudged.push("proof: the destination has no room for records");
    if (newestGood !== undefined) {
      ageMs = judge.now.getTime() - Date.parse(newestGood.time);
      judgeAge(newestGood, ageMs, judge, { findings, unknown, unjudged });
      judgeLock(facts, judge.now, { findings, unknown });
    }
  }
  for (const { table, plan, newestGood } of facts.leaves) {
    if ("unknown" in newestGood) unknown.push(`rows of ${table}: ${newestGood.unknown}`);
    else if (newestGood.known === null) {
      findings.push({
        code: "left_uncovered",
        message: `rows of ${table} are left to plan ${plan}, which has no good point`,
        hint: `Run \`sparekeep backup ${plan}\`.`,
      });
    }
  }
  for (const { destination, holds } of facts.copies) {
    if ("unknown" in holds) unknown.push(`copy ${destination}: ${holds.unknown}`);
    else if (holds.known === null) {
      findings.push({
        code: "copy_behind",
        message: `copy ${destination} does not hold the newest good point`,
        hint: "Run `sparekeep copy`.",
      });
    } else if (holds.known.state === "suspect") {
      const message = `what copy ${destination} holds of the newest good point is suspect there`;
      findings.push({ code: "copy_suspect", message, hint: "Run `sparekeep check` on the copy." });
    }
  }
  return {
    ...facts,
    outcome: outcomeOf(findings.length > 0, unknown.length > 0),
    ...(ageMs === undefined ? {} : { ageMs }),
    findings,
    unknown,
    unjudged,
  };
}

function ofPoints(
  { plan, captures }: PlanFacts,
  newest: StatusPoint | undefined,
  good: StatusPoint | undefined,
  records: boolean,
): readonly StatusFinding[] {
  const again = `Run \`sparekeep backup ${plan}\`.`;
  if (newest === undefined) {
    return [{ code: "no_point", message: "the plan has no point", hint: again }];
  }
  const findings: StatusFinding[] = [];
  if (good === undefined) {
    const message = "no point of the plan is whole and free of doubt";
    findings.push({ code: "no_good_point", message, hint: again });
  }
  const of = `the newest point, of ${formatTime(new Date(newest.time))},`;
  if (newest.state === "suspect") {
    findings.push({
      code: "newest_suspect",
      message: `${of} is suspect${newest.doubt === undefined ? "" : `: ${newest.doubt}`}`,
      hint: "Find out what happened at the source; `sparekeep accept` takes the point for good.",
    });
  } else if (newest.state === "missing" || newest.state === "damaged") {
    const message = `${of} is ${newest.state}`;
    findings.push({ code: `newest_${newest.state}`, message, hint: again });
  } else if (newest.outcome !== "complete") {
    const message = `${of} lacks something`;
    findings.push({ code: "newest_incomplete", message, hint: again });
  }
  if (records && captures !== "pg_dump" && good?.state === "stored") {
    const message = "the newest good point was never read back";
    const hint = "Run `sparekeep check --read-data`, or back up again.";
    findings.push({ code: "not_verified", message, hint });
  }
  return findings;
}

interface Verdicts {
  readonly findings: StatusFinding[];
  readonly unknown: string[];
  readonly unjudged: string[];
}

function judgeAge(
  point: StatusPoint,
  ageMs: number,
  { now, timezone, within }: Judge,
  { findings, unknown, unjudged }: Verdicts,
): void {
  if (ageMs < -CLOCK_MS) {
    unknown.push("age: the newest good point lies in the future of this machine's clock");
    return;
  }
  if (within === undefined) {
    unjudged.push("age: the policy promises none yet; --within judges it");
    return;
  }
  const due = addSpan(new Date(point.time), within, timezone);
  if (due >= now) return;
  const message = `the newest good point is of ${formatTime(new Date(point.time))}; the next was due by ${formatTime(due)}`;
  findings.push({ code: "too_old", message, hint: "Find out why the plan did not run." });
}

function judgeLock(
  { lock, lockExpected }: PlanFacts,
  now: Date,
  { findings, unknown }: Pick<Verdicts, "findings" | "unknown">,
): void {
  if (lock === undefined) return;
  if ("unknown" in lock) {
    unknown.push(`lock: ${lock.unknown}`);
    return;
  }
  if (!lockExpected) return;
  const { known } = lock;
  if (known !== null && Date.parse(known.until) > now.getTime()) return;
  const message =
    known === null
      ? "something that the newest good point needs carries no lock"
      : `the lock of the newest good point ended at ${formatTime(new Date(known.until))}`;
  findings.push({ code: "not_locked", message, hint: "Run `sparekeep doctor`, then back up." });
}

/** What is known to be missed outweighs what is not known. */
export function outcomeOf(missed: boolean, unknown: boolean): StatusOutcome {
  if (missed) return "missed";
  return unknown ? "unknown" : "met";
}

/** Drift is shown and is no fault: settings are meant to be changed. What could not be compared is unknown. */
export function overallOutcome(
  plans: readonly PlanStatus[],
  projects: readonly ProjectStatus[],
  providers: readonly ProviderStatus[],
): StatusOutcome {
  const missed =
    plans.some(({ outcome }) => outcome === "missed") ||
    providers.some((one) => "watched" in one && one.watched.outcome === "missed");
  const unknown =
    plans.some(({ outcome }) => outcome === "unknown") ||
    projects.some((one) => ("compared" in one ? one.compared.issues.length > 0 : one.failed)) ||
    providers.some((one) => "notWatched" in one);
  return outcomeOf(missed, unknown);
}
