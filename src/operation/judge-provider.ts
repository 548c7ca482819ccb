import { addSpan } from "../policy/index.ts";
import type { ProviderPolicy } from "../policy/index.ts";
import { formatTime } from "../kernel/index.ts";
import type { LastWrite } from "../source/index.ts";
import type { Project, ProviderBackup, ProviderBackups } from "../supabase/index.ts";

/**
 * What the provider holds against what the policy expects. Pure. docs/spec/project.md §provider
 *
 * Two traps are not walked into: with PITR on the daily backups stop, so that their list says nothing any more; and while
 * nothing is written no WAL is archived, so that the newest point is as old as the last write and good all the same.
 */
export type ProviderFindingCode =
  | "provider_nothing"
  | "provider_pitr_off"
  | "provider_daily_replaced"
  | "provider_window_short"
  | "provider_window_ends_early"
  | "provider_backup_old"
  | "provider_backup_failed"
  | "provider_backup_stuck"
  | "provider_gap";

export interface ProviderFinding {
  readonly code: ProviderFindingCode;
  readonly message: string;
  readonly hint: string;
}

export interface ProviderFacts {
  readonly now: Date;
  readonly timezone: string;
  readonly project: Pick<Project, "createdAt">;
  readonly backups: ProviderBackups;
  readonly lastWrite: LastWrite;
}

export interface ProviderVerdict {
  readonly findings: readonly ProviderFinding[];
  /** What looks wrong and is not, with the reason. */
  readonly notes: readonly string[];
}

type Expect = ProviderPolicy["expect"];

const SUPPORT = "Open a ticket with the provider, and take a backup of your own now.";
/** What the server writes by itself after the last commit, and how long the provider takes to archive it. */
const IDLE_SLACK_MS = 10 * 60_000;
/** Daily backups are counted, not timed: seven of them reach back six days and some hours. */
const DAILY_SLACK_MS = 24 * 3_600_000;

export function judgeProvider(expect: Expect, facts: ProviderFacts): ProviderVerdict {
  const { backups } = facts;
  if (backups.pitr) {
    return expect.one_of.includes("pitr") ? judgePitr(expect, facts) : replaced();
  }
  if (expect.one_of.includes("daily_backup")) return judgeDaily(expect, facts);
  const message = "point-in-time recovery is off";
  const hint = "Turn the PITR add-on on, or expect daily_backup in the policy.";
  return { findings: [{ code: "provider_pitr_off", message, hint }], notes: [] };
}

function replaced(): ProviderVerdict {
  const message =
    "daily backups are expected, and stopped when point-in-time recovery was turned on";
  const hint = "Add pitr to one_of in the policy.";
  return { findings: [{ code: "provider_daily_replaced", message, hint }], notes: [] };
}

function judgePitr(expect: Expect, facts: ProviderFacts): ProviderVerdict {
  const { earliest, latest, backups } = facts.backups;
  const notes =
    backups.length === 0 || isWithin(facts, newestOf(backups)?.at, expect.newest_within)
      ? []
      : [
          "the daily backups ended when point-in-time recovery was turned on: that is as it should be",
        ];
  if (earliest === undefined || latest === undefined) {
    const message = "point-in-time recovery is on, and there is no point to recover to";
    return { findings: [{ code: "provider_nothing", message, hint: SUPPORT }], notes };
  }
  const short = windowFinding(expect, facts, earliest, 0);
  const end = endOfWindow(expect, facts, latest);
  return {
    findings: [...short.findings, ...(typeof end === "object" ? [end] : [])],
    notes: [...notes, ...short.notes, ...(typeof end === "string" ? [end] : [])],
  };
}

/** A finding, a note, or nothing to say. */
function endOfWindow(
  { newest_within: within }: Expect,
  facts: ProviderFacts,
  latest: Date,
): ProviderFinding | string | undefined {
  if (isWithin(facts, latest, within)) return undefined;
  const { lastWrite } = facts;
  const ends = `the newest point is of ${formatTime(latest)}`;
  if ("at" in lastWrite && lastWrite.at.getTime() <= latest.getTime() + IDLE_SLACK_MS)
    return `${ends}: nothing was written since (${lastWrite.from}, ${formatTime(lastWrite.at)})`;
  const written =
    "at" in lastWrite
      ? `the database was written to at ${formatTime(lastWrite.at)} (${lastWrite.from})`
      : `when the database was last written to is not known (${lastWrite.unknown})`;
  const code = "provider_window_ends_early";
  return { code, message: `${ends}; ${written}`, hint: SUPPORT };
}

function judgeDaily(expect: Expect, facts: ProviderFacts): ProviderVerdict {
  const { backups } = facts.backups;
  const usable = backups.filter(({ status }) => status === "COMPLETED");
  const [newest] = usable;
  const troubles = troublesAfter(backups, newest, expect, facts);
  if (newest === undefined) {
    const message = "the provider holds no daily backup";
    const hint = "Look at the plan of the organization: the free one has none.";
    return { findings: [{ code: "provider_nothing", message, hint }, ...troubles], notes: [] };
  }
  const old: readonly ProviderFinding[] = isWithin(facts, newest.at, expect.newest_within)
    ? []
    : [
        {
          code: "provider_backup_old",
          message: `the newest daily backup is of ${formatTime(newest.at)}`,
          hint: SUPPORT,
        },
      ];
  const short = windowFinding(expect, facts, (usable.at(-1) ?? newest).at, DAILY_SLACK_MS);
  return {
    findings: [...old, ...troubles, ...gaps(expect, facts, usable), ...short.findings],
    notes: short.notes,
  };
}

function troublesAfter(
  backups: readonly ProviderBackup[],
  newest: ProviderBackup | undefined,
  expect: Expect,
  facts: ProviderFacts,
): readonly ProviderFinding[] {
  const later = backups.filter(({ at }) => newest === undefined || at > newest.at);
  const failed = later.filter(({ status }) => status === "FAILED" || status === "CANCELLED");
  const stuck = later.filter(
    ({ status, at }) => status === "PENDING" && !isWithin(facts, at, expect.newest_within),
  );
  const since = (list: readonly ProviderBackup[]): string =>
    list.map(({ at }) => formatTime(at)).join(", ");
  return [
    ...(failed.length === 0
      ? []
      : [
          {
            code: "provider_backup_failed" as const,
            message: `backups that failed since the last good one: ${since(failed)}`,
            hint: SUPPORT,
          },
        ]),
    ...(stuck.length === 0
      ? []
      : [
          {
            code: "provider_backup_stuck" as const,
            message: `backups that began and did not end: ${since(stuck)}`,
            hint: SUPPORT,
          },
        ]),
  ];
}

/** Between good backups, within the window. */
function gaps(
  { newest_within: within, window }: Expect,
  facts: ProviderFacts,
  usable: readonly ProviderBackup[],
): readonly ProviderFinding[] {
  if (within === undefined) return [];
  const { timezone, now } = facts;
  return usable.flatMap(({ at: after }, i) => {
    const before = usable[i + 1]?.at;
    if (before === undefined || addSpan(before, within, timezone) >= after) return [];
    // One that ended before the window does not matter any more.
    if (window !== undefined && addSpan(after, window, timezone) < now) return [];
    const message = `no backup between ${formatTime(before)} and ${formatTime(after)}`;
    const hint = "Take note of the days without: no moment in them can be had from the provider.";
    return [{ code: "provider_gap" as const, message, hint }];
  });
}

function windowFinding(
  { window }: Expect,
  { now, timezone, project }: ProviderFacts,
  earliest: Date,
  slackMs: number,
): ProviderVerdict {
  if (
    window === undefined ||
    addSpan(earliest, window, timezone).getTime() <= now.getTime() + slackMs
  )
    return { findings: [], notes: [] };
  const reaches = `the provider's backups reach back to ${formatTime(earliest)}`;
  if (addSpan(project.createdAt, window, timezone) > now) {
    const note = `${reaches}: the project is of ${formatTime(project.createdAt)}`;
    return { findings: [], notes: [note] };
  }
  const message = `${reaches}, and not as far as the policy expects`;
  const hint = "Take a larger PITR add-on or plan, or shorten window in the policy.";
  return { findings: [{ code: "provider_window_short", message, hint }], notes: [] };
}

function newestOf(backups: readonly ProviderBackup[]): ProviderBackup | undefined {
  return backups.find(({ status }) => status === "COMPLETED");
}

function isWithin(
  { now, timezone }: ProviderFacts,
  at: Date | undefined,
  span: Expect["newest_within"],
): boolean {
  if (span === undefined) return true;
  return at !== undefined && addSpan(at, span, timezone) >= now;
}
