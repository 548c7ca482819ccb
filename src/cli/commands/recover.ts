import type { Command } from "commander";
import { EXIT_INCOMPLETE, formatDuration } from "../../kernel/index.ts";
import { followProviderRecovery, loadPolicy, planProviderRecovery } from "../../operation/index.ts";
import type { ProviderRecovery, ProviderRecoveryPreview } from "../../operation/index.ts";
import { parseMoment } from "../../policy/index.ts";
import type { Policy } from "../../policy/index.ts";
import { addOutputOptions, addPolicyOption, DEFAULT_POLICY_FILE } from "../common-options.ts";
import type { OutputFlags } from "../common-options.ts";
import { confirmByName } from "../confirm.ts";
import { cliError } from "../errors.ts";
import { printable } from "../printable.ts";
import type { CliRuntime } from "../runtime.ts";
import type { Session } from "../session.ts";
import { timeText } from "../time-text.ts";
import type { Verb } from "../verb.ts";

interface RecoverFlags extends OutputFlags {
  readonly policy?: string;
  readonly provider: string;
  readonly to?: string;
  readonly follow?: boolean;
  readonly confirm?: string;
  readonly dryRun?: boolean;
}

export const recoverVerb: Verb = {
  examples: [
    [
      'sparekeep recover --provider database --to "2026-11-20 14:31" --dry-run',
      "what the provider would do, and what would be lost",
    ],
    [
      'sparekeep recover --provider database --to "2026-11-20 14:31"',
      "asks for the project's reference to be typed, then has the provider restore in place",
    ],
    ["sparekeep recover --provider database --follow", "follow a restore that is under way"],
  ],
  register: (program: Command, run, runtime) =>
    addOutputOptions(addPolicyOption(program.command("recover")))
      .description(
        "have the provider take a project back to a moment, in place, after its plan was shown and confirmed (exit 3 where the gap is not recorded)",
      )
      .requiredOption("--provider <source>", "source of the policy, whose provider restores")
      .option("--to <time>", "moment within the provider's window, in the policy's time zone")
      .option("--follow", "follow a restore that is under way, and ask for none")
      .option("--confirm <ref>", "the project's reference, in place of typing it")
      .option("--dry-run", "show the plan and stop")
      .action((flags: RecoverFlags) => run(flags, (session) => recover(session, runtime, flags))),
};

async function recover(
  session: Session,
  runtime: CliRuntime,
  flags: RecoverFlags,
): Promise<number> {
  const { context, output, json, document, progress } = session;
  if ((flags.follow === true) === (flags.to !== undefined)) {
    throw cliError("usage", {
      message: "recover without one of --to and --follow",
      hint: 'Add --to "2026-11-20 14:31", or --follow where a restore is under way.',
    });
  }
  const policy = await loadPolicy(flags.policy ?? DEFAULT_POLICY_FILE);
  const shared = {
    policy,
    source: flags.provider,
    onProgress: progress.update.bind(progress),
  };
  if (flags.follow === true) {
    const followed = await followProviderRecovery(context, shared);
    progress.finish();
    if (json) await document(followed);
    else await output.line(`complete: project ${followed.project} is restored and healthy`);
    return 0;
  }
  const to = momentOf(flags.to ?? "", policy);
  const planned = await planProviderRecovery(context, { ...shared, to });
  const { preview } = planned;
  if (!json) for (const line of describePlan(preview)) await output.line(line);
  if (flags.dryRun === true) {
    if (json) await document({ plan: preview });
    return 0;
  }
  await confirmByName(runtime, { confirm: flags.confirm, json }, "project", {
    name: preview.project,
    question: `Type the project's reference (${preview.project}) to take it back:`,
  });
  const result = await planned.execute();
  progress.finish();
  if (json) await document({ plan: preview, ...result });
  else for (const line of describeResult(preview, result)) await output.line(line);
  return result.outcome === "complete" ? 0 : EXIT_INCOMPLETE;
}

function momentOf(text: string, policy: Policy): Date {
  const parsed = parseMoment(text, policy.timezone ?? "UTC");
  if (!("problem" in parsed)) return parsed.moment;
  const message = `--to ${JSON.stringify(text)}: ${parsed.problem}`;
  throw cliError("usage", { message, hint: parsed.fix });
}

function describePlan(plan: ProviderRecoveryPreview): string[] {
  const { lost, slots, slotsUnknown, window, gapRecordedIn, gapNotRecordedIn } = plan;
  return [
    `Take project ${plan.project} (${plan.name}, ${plan.region}) back to ${timeText(plan.to)}, in place, by its provider`,
    `  window: ${timeText(window.earliest)} to ${timeText(window.latest)}`,
    `  lost: everything written from ${timeText(lost.from)} to ${timeText(lost.until)} (last write: ${lost.lastWrite})`,
    "  not taken back: files of Storage, Edge Functions, settings, passwords of roles",
    "  meanwhile the project is offline; how long depends on its size",
    ...plan.notes.map((note) => `  note: ${note}`),
    "Steps:",
    ...gapRecordedIn.map((name) => `  record the gap beside ${name}`),
    ...gapNotRecordedIn.map(
      ({ destination, reason }) => `  the gap cannot be recorded beside ${destination}: ${reason}`,
    ),
    ...(gapRecordedIn.length + gapNotRecordedIn.length === 0
      ? ["  the gap is recorded nowhere: no plan of the policy has this source"]
      : []),
    ...slots.map(
      ({ name, plugin, database, reader }) =>
        `  drop logical slot ${name} (${plugin}, database ${database})${reader === undefined ? "" : `, ending its reader ${reader.application} (pid ${reader.pid})`}`,
    ),
    ...(slotsUnknown === undefined
      ? slots.length === 0
        ? ["  no logical slot stands in the way"]
        : []
      : [`  logical slots are not known, and none is dropped: ${slotsUnknown}`]),
    `  ask the provider, once, to restore to ${timeText(plan.to)}`,
    "  follow the restore to its end",
  ].map(printable);
}

function describeResult(plan: ProviderRecoveryPreview, result: ProviderRecovery): string[] {
  const { slotsDropped, gapNotRecordedIn } = result;
  return [
    ...gapNotRecordedIn.map(
      ({ destination, reason }) => `missing: record of the gap beside ${destination}: ${reason}`,
    ),
    `${result.outcome}: project ${plan.project} is back at ${timeText(plan.to)}, after ${formatDuration(result.durationMs)}`,
    ...(slotsDropped.length === 0
      ? []
      : [`  dropped: ${slotsDropped.join(", ")}; whatever read them needs a new base`]),
    "  next: `sparekeep backup` makes a point of the new history",
  ].map(printable);
}
