import type { Command } from "commander";
import { counted, EXIT_INCOMPLETE, formatCount, KIND_RULES } from "../../kernel/index.ts";
import { countCopies, loadPolicy } from "../../operation/index.ts";
import type { PlanCopies, Score } from "../../operation/index.ts";
import {
  addOutputOptions,
  addPolicyOption,
  DEFAULT_POLICY_FILE,
  given,
} from "../common-options.ts";
import type { OutputFlags } from "../common-options.ts";
import { printable } from "../printable.ts";
import type { Verb } from "../verb.ts";
import { timeText } from "../time-text.ts";

interface CopiesFlags extends OutputFlags {
  readonly policy?: string;
  readonly plan?: string;
  readonly check?: boolean;
}

export const copiesVerb: Verb = {
  examples: [
    ["sparekeep copies", "3-2-1-1-0 of every plan's newest point, from what the stores answer"],
    ["sparekeep copies --check", "check each repository too, so that errors are counted"],
  ],
  register: (program: Command, run) =>
    addOutputOptions(addPolicyOption(program.command("copies")))
      .description("count the copies of each plan's points: 3-2-1-1-0, from facts read back")
      .option("--plan <name>", "only this plan")
      .option("--check", "check the structure of each repository")
      .action((flags: CopiesFlags) =>
        run(flags, async ({ context, output, json, document }) => {
          const plans = await countCopies(context, {
            policy: await loadPolicy(flags.policy ?? DEFAULT_POLICY_FILE),
            ...given("plan", flags.plan),
            check: flags.check === true,
          });
          if (json) await document({ plans });
          else for (const line of plans.flatMap(describe)) await output.line(printable(line));
          return exitCode(plans);
        }),
      ),
};

function exitCode(plans: readonly PlanCopies[]): number {
  if (plans.some(({ met }) => met === "no")) return KIND_RULES["objective-missed"].exitCode;
  return plans.every(({ met }) => met === "yes") ? 0 : EXIT_INCOMPLETE;
}

function describe({ plan, newest, points, short, destinations, met }: PlanCopies): string[] {
  const troubles = destinations.flatMap(({ name, trouble }) =>
    trouble === undefined ? [] : [`  ${name}: ${trouble}`],
  );
  if (newest === undefined) return [`${plan}: no good point`, ...troubles];
  const { copies, kinds, offsite, immutable, errors, time } = newest;
  return [
    `${plan}: newest good point ${timeText(time)}: 3-2-1-1-0 ${met === "yes" ? "met" : met === "no" ? "not met" : "unknown"}`,
    ...line("3", "copies, with the original", copies),
    ...line("2", "kinds of store", kinds),
    ...line("1", "off-site", offsite),
    ...line("1", "immutable", immutable),
    ...line("0", "errors", errors),
    `  of ${counted(points.length, "point")}, ${formatCount(short)} not known to meet it`,
  ];
}

function line(rule: string, what: string, { met, count, facts, unknown }: Score): string[] {
  return [
    `  ${rule}  ${what}: ${rule === "3" ? count + 1 : count} (${met})`,
    ...facts.map((fact) => `       ${fact}`),
    ...unknown.map((fact) => `       unknown: ${fact}`),
  ];
}
