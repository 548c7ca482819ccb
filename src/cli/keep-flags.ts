import type { Command } from "commander";
import { parseSpan } from "../policy/index.ts";
import type { CalendarSpan, KeepRules } from "../policy/index.ts";
import { cliError } from "./errors.ts";

/** restic's `--keep-…`, for a repository without a policy. */
export interface KeepFlags {
  readonly keepLast?: number;
  readonly keepHourly?: number;
  readonly keepDaily?: number;
  readonly keepWeekly?: number;
  readonly keepMonthly?: number;
  readonly keepYearly?: number;
  readonly keepWithin?: CalendarSpan;
  readonly keepTag?: readonly string[];
}

const MAX_COUNT = 100_000;

export function addKeepOptions(command: Command): Command {
  for (const unit of ["hourly", "daily", "weekly", "monthly", "yearly"]) {
    const what = `with --repository: keep the newest of the last N ${unit} ones`;
    command.option(`--keep-${unit} <count>`, what, parseKeepCount);
  }
  return command
    .option("--keep-last <count>", "with --repository: keep the last N", parseKeepCount)
    .option(
      "--keep-within <span>",
      'with --repository: keep what is younger than this, counted from the newest good one (30d, 1y6m, or "30 days")',
      parseWithin,
    )
    .option(
      "--keep-tag <tags>",
      "with --repository: keep what has all of a,b (repeatable)",
      collect,
    );
}

/** `undefined` where none was given. */
export function keepRulesOf(flags: KeepFlags): KeepRules | undefined {
  const rules: KeepRules = {
    last: flags.keepLast,
    hourly: flags.keepHourly,
    daily: flags.keepDaily,
    weekly: flags.keepWeekly,
    monthly: flags.keepMonthly,
    yearly: flags.keepYearly,
    within: flags.keepWithin,
    tags: flags.keepTag,
  };
  return Object.values(rules).some((value) => value !== undefined) ? rules : undefined;
}

export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

function parseKeepCount(text: string): number {
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= MAX_COUNT) return count;
  throw cliError("usage", {
    message: `count "${text.slice(0, 20)}" out of range`,
    hint: `Write a number from 1 to ${MAX_COUNT}.`,
  });
}

/** As restic writes it, where `m` are months; else as the policy does. */
export function parseWithin(text: string): CalendarSpan {
  const [all, years, months, days, hours] =
    /^(?:(\d{1,4})y)?(?:(\d{1,4})m)?(?:(\d{1,6})d)?(?:(\d{1,6})h)?$/.exec(text.trim()) ?? [];
  const found =
    all === undefined || all === ""
      ? parseSpan(text)
      : {
          years: Number(years ?? 0),
          months: Number(months ?? 0),
          days: Number(days ?? 0),
          hours: Number(hours ?? 0),
          minutes: 0,
          seconds: 0,
        };
  if (found !== undefined) return found;
  throw cliError("usage", {
    message: `"${text.slice(0, 20)}" that is no length of time`,
    hint: 'Write it as 1y6m30d12h, or as "30 days".',
  });
}
