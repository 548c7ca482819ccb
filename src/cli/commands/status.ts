import type { Command } from "commander";
import { counted, EXIT_INCOMPLETE, formatDuration, KIND_RULES } from "../../kernel/index.ts";
import { loadPolicy, readStatus } from "../../operation/index.ts";
import type {
  PlanStatus,
  ProjectStatus,
  ProviderStatus,
  Status,
  StatusLock,
} from "../../operation/index.ts";
import { parseSpan } from "../../policy/index.ts";
import type { CalendarSpan } from "../../policy/index.ts";
import {
  addOutputOptions,
  addPolicyOption,
  DEFAULT_POLICY_FILE,
  given,
} from "../common-options.ts";
import type { OutputFlags } from "../common-options.ts";
import { cliError } from "../errors.ts";
import { printable } from "../printable.ts";
import { timeText } from "../time-text.ts";
import type { Verb } from "../verb.ts";

interface StatusFlags extends OutputFlags {
  readonly policy?: string;
  readonly plan?: string;
  readonly within?: string;
}

const EXITS: Readonly<Record<Status["outcome"], number>> = {
  met: 0,
  missed: KIND_RULES["objective-missed"].exitCode,
  unknown: EXIT_INCOMPLETE,
};

export const statusVerb: Verb = {
  examples: [
    ["sparekeep status", "every plan's newest point, what is proven of it, and what has drifted"],
    [
      "sparekeep status --plan nightly --within 26h",
      "exit 21 where its newest good point is older",
    ],
  ],
  register: (program: Command, run) =>
    addOutputOptions(addPolicyOption(program.command("status")))
      .description(
        "say how every plan, project and provider of the policy stands (exit 21 where something is missed, 3 where something could not be read)",
      )
      .option("--plan <name>", "only this plan, with its project and provider")
      .option("--within <time>", "how old the newest good point of a plan may be, as `26h`")
      .action((flags: StatusFlags) =>
        run(flags, async ({ context, output, json, document, progress }) => {
          const status = await readStatus(context, {
            policy: await loadPolicy(flags.policy ?? DEFAULT_POLICY_FILE),
            ...given("plan", flags.plan),
            ...given("within", withinOf(flags.within)),
            onProgress: (step) => progress.update(step),
          });
          progress.finish();
          if (json) await document(status);
          else for (const line of describe(status)) await output.line(printable(line));
          return EXITS[status.outcome];
        }),
      ),
};

function withinOf(text: string | undefined): CalendarSpan | undefined {
  if (text === undefined) return undefined;
  const span = parseSpan(text);
  if (span !== undefined) return span;
  throw cliError("usage", {
    message: `--within ${JSON.stringify(text)}, which is no length of time`,
    hint: 'Write for example "26h" or "8 days".',
  });
}

function describe({ outcome, plans, projects, providers }: Status): readonly string[] {
  const missed = plans.filter((plan) => plan.outcome === "missed").length;
  return [
    ...plans.flatMap(planLines),
    ...projects.flatMap(projectLines),
    ...providers.flatMap(providerLines),
    `${outcome}: ${counted(plans.length, "plan")}, ${missed} missed`,
  ];
}

function planLines(plan: PlanStatus): readonly string[] {
  const { points, copies, guardsOff, leaves, findings, unknown, unjudged } = plan;
  const head = `${plan.outcome}: plan ${plan.plan} (${plan.captures} of ${plan.source}) in ${plan.destination}`;
  const seen =
    "unknown" in points
      ? []
      : [
          ...newestLines(plan, points.known),
          ...points.known.suspect.map(
            ({ id, time, doubt }) =>
              `  suspect: ${shortId(id)} of ${timeText(time)}${doubt === undefined ? "" : `: ${doubt}`}`,
          ),
        ];
  return [
    head,
    ...seen,
    ...copies.map(
      ({ destination, holds }) =>
        `  copy ${destination}: ${"unknown" in holds ? `unknown: ${holds.unknown}` : holds.known === null ? "does not hold it" : `holds it, ${holds.known.state}`}`,
    ),
    ...leaves.flatMap(({ table, plan: other, newestGood }) =>
      "unknown" in newestGood || newestGood.known === null
        ? []
        : [
            `  rows of ${table}: in plan ${other}, newest good point ${timeText(newestGood.known.time)}`,
          ],
    ),
    ...guardsOff.map(({ guard, because }) => `  guard ${guard} is off: ${because}`),
    ...findings.flatMap(({ code, message, hint }) => [`  ${code}: ${message}`, `    fix: ${hint}`]),
    ...unknown.map((what) => `  unknown: ${what}`),
    ...unjudged.map((what) => `  not judged: ${what}`),
  ];
}

type KnownPoints = Extract<PlanStatus["points"], { readonly known: unknown }>["known"];

function newestLines(
  { ageMs, lock }: PlanStatus,
  { newest, newestGood, count }: KnownPoints,
): readonly string[] {
  if (newest === undefined) return [];
  const last = `  newest point: ${shortId(newest.id)} of ${timeText(newest.time)}, ${newest.outcome}, ${newest.state}; of ${counted(count, "point")}`;
  if (newestGood === undefined) return [last];
  const age = ageMs === undefined ? "" : `, ${formatDuration(Math.max(0, ageMs))} old`;
  return [
    last,
    `  newest good one: ${shortId(newestGood.id)} of ${timeText(newestGood.time)}${age}, ${newestGood.state}${lockText(lock)}`,
  ];
}

function lockText(lock: PlanStatus["lock"]): string {
  if (lock === undefined) return "";
  if ("unknown" in lock) return ", lock unknown";
  return lockedText(lock.known);
}

function lockedText(lock: StatusLock): string {
  return lock === null ? ", not locked" : `, locked until ${timeText(lock.until)} (${lock.mode})`;
}

/** Of a snapshot; a dump's is the name of its file. */
function shortId(id: string): string {
  return /^[0-9a-f]{64}$/.test(id) ? id.slice(0, 8) : id;
}

function projectLines(project: ProjectStatus): readonly string[] {
  if ("notCompared" in project) {
    const word = project.failed ? "unknown" : "note";
    return [`${word}: project of ${project.source} not compared: ${project.notCompared}`];
  }
  const { outcome, changes, readAt, issues, project: ref } = project.compared;
  const more = changes.length > 0 ? "; see `sparekeep project diff`" : "";
  return [
    `${outcome}: project ${ref} of ${project.source}, against its settings of ${timeText(readAt)}: ${counted(changes.length, "change")}${more}`,
    ...issues.map(({ object, message }) => `  unknown: ${object}: ${message}`),
  ];
}

function providerLines(provider: ProviderStatus): readonly string[] {
  if ("notWatched" in provider) {
    return [`unknown: provider of ${provider.source}: ${provider.notWatched}`];
  }
  const { outcome, findings, notes } = provider.watched;
  return [
    `${outcome}: provider of ${provider.source}`,
    ...notes.map((note) => `  note: ${note}`),
    ...findings.flatMap(({ code, message, hint }) => [`  ${code}: ${message}`, `    fix: ${hint}`]),
  ];
}
