import type { Command } from "commander";
import { counted, EXIT_INCOMPLETE, formatCount } from "../../kernel/index.ts";
import { loadPolicy, planProjectApply } from "../../operation/index.ts";
import type { AppliedProject, ProjectApplyPreview } from "../../operation/index.ts";
import {
  addOutputOptions,
  addPolicyOption,
  DEFAULT_POLICY_FILE,
  given,
} from "../common-options.ts";
import type { OutputFlags } from "../common-options.ts";
import { confirmByName } from "../confirm.ts";
import { examplesText } from "../examples.ts";
import { toJson } from "../json.ts";
import { printable } from "../printable.ts";
import type { CliRuntime } from "../runtime.ts";
import type { Session } from "../session.ts";
import { timeText } from "../time-text.ts";
import type { RunVerb, Verb } from "../verb.ts";

interface ProjectApplyFlags extends OutputFlags {
  readonly policy?: string;
  readonly destination?: string;
  readonly to: string;
  readonly sameProject?: boolean;
  readonly confirm?: string;
  readonly dryRun?: boolean;
}

const EXAMPLES: Verb["examples"] = [
  [
    "sparekeep project apply latest --to staging --dry-run",
    "+ set, - taken away, * another value, ! differs and is not set",
  ],
  [
    "sparekeep project apply 1a2b3c4d --to staging",
    "asks for the project's reference to be typed, then sets and reads back",
  ],
  [
    "sparekeep project apply latest --to database --same-project",
    "takes a project that drifted back to its own settings",
  ],
];

export function registerProjectApply(project: Command, run: RunVerb, runtime: CliRuntime): void {
  addOutputOptions(addPolicyOption(project.command("apply")))
    .addHelpText("before", examplesText(EXAMPLES))
    .description(
      "put the configuration of a snapshot into a project, after its plan was shown and confirmed (exit 3 where something differs still)",
    )
    .argument("<snapshot>", "its id; latest is the newest that holds a configuration")
    .requiredOption("--to <name>", "target of the policy with kind: supabase")
    .option("--same-project", "--to is the source that the snapshot is of")
    .option("-d, --destination <name>", "destination that holds the snapshot")
    .option("--confirm <ref>", "the project's reference, in place of typing it")
    .option("--dry-run", "show the plan and stop")
    .action((snapshot: string, flags: ProjectApplyFlags) =>
      run(flags, (session) => apply(session, runtime, snapshot, flags)),
    );
}

async function apply(
  session: Session,
  runtime: CliRuntime,
  snapshot: string,
  flags: ProjectApplyFlags,
): Promise<number> {
  const { context, output, json, document, progress } = session;
  const planned = await planProjectApply(context, {
    policy: await loadPolicy(flags.policy ?? DEFAULT_POLICY_FILE),
    ...given("destination", flags.destination),
    snapshot,
    to: flags.to,
    sameProject: flags.sameProject === true,
    onProgress: (step) => progress.update(step),
  });
  const { preview } = planned;
  progress.finish();
  if (!json) for (const line of describePlan(preview)) await output.line(line);
  if (flags.dryRun === true) {
    if (json) await document({ plan: preview });
    return 0;
  }
  if (preview.requests.length > 0)
    await confirmByName(runtime, { confirm: flags.confirm, json }, "project", {
      name: preview.to.project,
      question: `Type the project's reference (${preview.to.project}) to change it:`,
    });
  const result = await planned.execute();
  progress.finish();
  if (json) await document({ plan: preview, ...result });
  else for (const line of describeResult(preview, result)) await output.line(line);
  return result.outcome === "complete" ? 0 : EXIT_INCOMPLETE;
}

type Setting = ProjectApplyPreview["settings"][number];

function describePlan(plan: ProjectApplyPreview): string[] {
  const { settings, requests, byHand, notes, to, from, same, snapshot, readAt } = plan;
  return [
    `Put the settings of project ${from}, snapshot ${snapshot.slice(0, 8)} of ${timeText(readAt)}, into project ${to.project} (${to.name})`,
    `  = ${formatCount(same)} settings are the same`,
    ...settings.map(settingLine),
    ...notes.map((note) => `  note: ${note}`),
    ...(requests.length === 0
      ? ["No request is needed"]
      : ["Requests, each once:", ...requests.map(requestLine)]),
    ...(byHand.length === 0 ? [] : ["By hand, since no API takes it:"]),
    ...byHand.map(
      ({ name, what, place }) => `  ${name}: ${what} (${place ?? "no place in the policy"})`,
    ),
  ].map(printable);
}

function settingLine({ sign, service, setting, from, to, reason, secret }: Setting): string {
  const name = setting === "" ? service : `${service}.${setting}`;
  const before = from === undefined ? "" : ` ${shown(from)}`;
  const after = to === undefined ? "" : ` -> ${shown(to)}`;
  const where = secret === undefined ? "" : ` (from the place of ${secret})`;
  return `  ${sign} ${name}:${before}${sign === "-" ? "" : after}${where}${reason === undefined ? "" : ` (${reason})`}`;
}

function requestLine({ method, path, settings }: ProjectApplyPreview["requests"][number]): string {
  return `  ${method} ${path}: ${settings.join(", ")}`;
}

function describeResult(plan: ProjectApplyPreview, result: AppliedProject): string[] {
  const { outcome, requests, left, unread } = result;
  return [
    ...requests.flatMap(({ service, outcome: became, message }) =>
      became === "taken"
        ? []
        : [`${became}: ${service}${message === undefined ? "" : `: ${message}`}`],
    ),
    ...unread.map((what) => `not read back: ${what}`),
    ...left.map((setting) => `missing:${settingLine(setting)}`),
    outcome === "complete"
      ? `complete: project ${plan.to.project} has the settings of the snapshot, read back`
      : `incomplete: ${counted(left.length, "setting")} of project ${plan.to.project} differ still; run it again once their reason is gone`,
  ].map(printable);
}

const MAX_SHOWN = 120;

export function shown(value: unknown): string {
  if (typeof value === "object" && value !== null && "sealed" in value) {
    return `a secret with digest ${String(value.sealed).slice(0, 8)}`;
  }
  const text = toJson(value, 0);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}
