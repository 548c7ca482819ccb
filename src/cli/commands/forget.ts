import type { Command } from "commander";
import { counted, EXIT_INCOMPLETE, formatCount, KIND_RULES } from "../../kernel/index.ts";
import { planForgetting } from "../../operation/index.ts";
import type { ForgetPreview, PlannedForget } from "../../operation/index.ts";
import { addOutputOptions, addRepositoryOptions, given, policyOf } from "../common-options.ts";
import type { OutputFlags, RepositoryFlags } from "../common-options.ts";
import { confirmByTyping, requireAnswer } from "../confirm.ts";
import { connectionLines } from "../connection-lines.ts";
import { addKeepOptions, collect, keepRulesOf } from "../keep-flags.ts";
import type { KeepFlags } from "../keep-flags.ts";
import { printable } from "../printable.ts";
import type { Verb } from "../verb.ts";
import type { CliRuntime } from "../runtime.ts";
import type { Session } from "../session.ts";
import { formatTable } from "../table.ts";
import { timeText } from "../time-text.ts";

interface ForgetFlags extends RepositoryFlags, KeepFlags {
  readonly plan?: string;
  readonly tag?: readonly string[];
  readonly foreign?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

export const forgetVerb: Verb = {
  examples: [
    ["sparekeep forget --dry-run", "what `keep:` of each plan would leave, and why"],
    ["sparekeep forget --plan nightly --yes", "one plan, without being asked"],
    [
      "sparekeep forget --repository /mnt/backup --password-file key --keep-daily 7 --keep-within 30d",
      "without a policy, with restic's rules",
    ],
  ],
  register: (program: Command, run, runtime) =>
    addOutputOptions(addKeepOptions(addRepositoryOptions(program.command("forget"))))
      .description(
        "drop the snapshots that no keep rule keeps, after its plan was shown and confirmed (exit 3 where a guard stops it)",
      )
      .option("--plan <name>", "only this plan")
      .option("--tag <tags>", "only what has all tags of a,b (repeatable)", collect)
      .option("--foreign", "with --keep-...: also snapshots of other tools, by host and paths")
      .option("--dry-run", "show the plan and stop")
      .option("--yes", "carry the plan out without asking")
      .action((flags: ForgetFlags) => run(flags, (session) => forget(session, runtime, flags))),
};

async function forget(session: Session, runtime: CliRuntime, flags: ForgetFlags): Promise<number> {
  const { context, output, json, document } = session;
  requireAnswer("forget --json with", json, flags);
  const planned = await planForgetting(context, {
    policy: await policyOf(flags),
    ...given("destination", flags.destination),
    ...given("plan", flags.plan),
    ...given("tags", flags.tag),
    ...given("keep", keepRulesOf(flags)),
    ...given("foreign", flags.foreign),
  });
  const { preview } = planned;
  if (!json) for (const line of describePlan(preview)) await output.line(line);
  if (flags.dryRun === true || preview.forget.length === 0) {
    if (json) await document({ plan: preview });
    return preview.stopped ? EXIT_INCOMPLETE : 0;
  }
  if (flags.yes !== true) {
    const count = String(preview.forget.length);
    await confirmByTyping(runtime, `Type the number of snapshots to forget (${count}):`, count);
  }
  return await execute(session, planned, flags);
}

async function execute(
  session: Session,
  planned: PlannedForget,
  flags: OutputFlags,
): Promise<number> {
  const { context, output, json, document } = session;
  const { preview } = planned;
  const result = await planned.execute();
  if (json) await document({ plan: preview, ...result });
  else {
    for (const { id, reason } of result.notRemoved) {
      await output.line(printable(`not removed: ${id.slice(0, 8)}: ${reason}`));
    }
    await output.line(
      `${result.outcome}: ${counted(result.removed.length, "snapshot")} forgotten, ${formatCount(preview.keep.length)} kept\n  next: \`sparekeep prune\` frees their space`,
    );
    for (const line of connectionLines(result, flags)) await output.line(line);
  }
  if (context.signal.aborted) return KIND_RULES.cancelled.exitCode;
  return result.outcome === "complete" && !preview.stopped ? 0 : EXIT_INCOMPLETE;
}

function describePlan(preview: ForgetPreview): string[] {
  const { keep, forget, plans, locked, location, timezone } = preview;
  return [
    printable(`Retention in ${location}, days of ${timezone}`),
    ...preview.stoppedBecause.map((reason) => printable(`nothing is forgotten: ${reason}`)),
    ...plans.map((plan) => printable(planLine(plan))),
    ...section(
      "Kept:",
      ["ID", "TIME", "PLAN", "WHY"],
      keep.map((point) => [...columns(point), point.reasons.join(", ")]),
    ),
    ...section("To be forgotten:", ["ID", "TIME", "PLAN"], forget.map(columns)),
    ...locked.map(
      ({ id, lockedUntil }) => `locked: ${id.slice(0, 8)} until ${timeText(lockedUntil)}`,
    ),
    ...(forget.length === 0 ? ["", "nothing to forget"] : []),
  ];
}

function planLine({
  plan,
  stoppedBecause,
  noRules,
  kept,
  forgotten,
}: ForgetPreview["plans"][number]): string {
  const because = noRules ?? stoppedBecause.join("; ");
  const why = because === "" ? "" : `: ${because}`;
  return `plan ${plan} keeps ${formatCount(kept)}, forgets ${formatCount(forgotten)}${why}`;
}

function columns({ id, time, plan }: { id: string; time: string; plan?: string }): string[] {
  return [id.slice(0, 8), timeText(time), plan ?? "-"];
}

function section(title: string, head: string[], rows: readonly string[][]): string[] {
  return rows.length === 0 ? [] : ["", title, ...formatTable(head, rows)];
}
