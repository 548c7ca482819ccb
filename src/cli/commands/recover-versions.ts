import type { Command } from "commander";
import { counted, EXIT_INCOMPLETE, formatBytes, formatCount } from "../../kernel/index.ts";
import { planRecoveryOfVersions } from "../../operation/index.ts";
import type { PlannedRecoveryOfVersions, RecoveryOfVersions } from "../../operation/index.ts";
import {
  addOutputOptions,
  addRepositoryOptions,
  given,
  momentOf,
  policyOf,
} from "../common-options.ts";
import type { RepositoryFlags } from "../common-options.ts";
import { confirmByTyping, requireAnswer } from "../confirm.ts";
import { printable } from "../printable.ts";
import type { Verb } from "../verb.ts";
import type { CliRuntime } from "../runtime.ts";
import type { Session } from "../session.ts";
import { timeText } from "../time-text.ts";

interface RecoverVersionsFlags extends RepositoryFlags {
  readonly asOf: string;
  readonly removeAdded?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** So many objects of each kind are named; --json names all. */
const MOST_NAMED = 8;

export const recoverVersionsVerb: Verb = {
  examples: [
    [
      "sparekeep recover-versions --as-of '2026-11-20 14:31' --dry-run",
      "what an intruder removed or overwrote since then",
    ],
    [
      "sparekeep recover-versions --as-of '2026-11-20 14:31'",
      "put it back, after the plan was shown",
    ],
  ],
  register: (program: Command, run, runtime) =>
    addOutputOptions(addRepositoryOptions(program.command("recover-versions")))
      .description("put back what a store with versions held at a moment, whether it opens or not")
      .requiredOption("--as-of <time>", "the moment, in the time zone of the policy")
      .option("--remove-added", "also remove what was not there at that moment, later backups too")
      .option("--dry-run", "show the plan and stop")
      .option("--yes", "carry the plan out without asking")
      .action((flags: RecoverVersionsFlags) =>
        run(flags, (session) => recoverVersions(session, runtime, flags)),
      ),
};

async function recoverVersions(
  session: Session,
  runtime: CliRuntime,
  flags: RecoverVersionsFlags,
): Promise<number> {
  const { output, json, document, progress } = session;
  requireAnswer("recover-versions --json with", json, flags);
  const planned = await planOf(session, flags);
  const { plan, destination } = planned;
  progress.finish();
  if (!json) for (const line of describePlan(planned)) await output.line(line);
  const nothing = plan.putBack.length === 0 && !(plan.removesAdded && plan.added.length > 0);
  if (flags.dryRun === true || nothing) {
    if (json) await document({ plan });
    return 0;
  }
  if (flags.yes !== true) {
    const question = `Type the name of the destination to go on (${printable(destination)}):`;
    await confirmByTyping(runtime, question, destination);
  }
  const result = await executed(session, planned);
  progress.finish();
  if (json) await document({ plan, ...result });
  else for (const line of describeResult(result)) await output.line(line);
  return result.outcome === "complete" ? 0 : EXIT_INCOMPLETE;
}

async function planOf(
  { context, progress }: Session,
  flags: RecoverVersionsFlags,
): Promise<PlannedRecoveryOfVersions> {
  const policy = await policyOf(flags);
  return planRecoveryOfVersions(context, {
    policy,
    ...given("destination", flags.destination),
    asOf: momentOf(flags.asOf, policy, context.clock.now()),
    removeAdded: flags.removeAdded === true,
    onProgress: (step) => progress.update(step),
  });
}

async function executed(
  session: Session,
  planned: PlannedRecoveryOfVersions,
): Promise<RecoveryOfVersions> {
  try {
    return await planned.execute();
  } catch (thrown) {
    session.progress.note("The recovery is unfinished: the same command goes on where it ended.");
    throw thrown;
  }
}

function describePlan({ plan, destination }: PlannedRecoveryOfVersions): string[] {
  const { putBack, added, locks, removesAdded } = plan;
  const missing = putBack.filter(({ reason }) => reason === "missing");
  const changed = putBack.filter(({ reason }) => reason === "changed");
  const moment = timeText(plan.moment.toISOString());
  return [
    `Recover ${plan.location} (${destination}) as of ${moment}: ${counted(putBack.length, "object")}, ${formatBytes(plan.putBackBytes)} to put back`,
    ...named("removed since, put back", missing),
    ...named("overwritten since, put back", changed),
    ...named(removesAdded ? "added since, removed" : "added since, left", added),
    ...(locks === 0
      ? []
      : [
          `  ${formatCount(locks)} lock files are there: make sure that nobody works on the repository`,
        ]),
    ...(putBack.length === 0 ? ["Nothing is to be put back."] : []),
  ].map(printable);
}

function named(what: string, objects: readonly { readonly key: string }[]): string[] {
  if (objects.length === 0) return [];
  const more = objects.length - MOST_NAMED;
  return [
    `  ${what}: ${formatCount(objects.length)}`,
    ...objects.slice(0, MOST_NAMED).map(({ key }) => `    ${key}`),
    ...(more > 0 ? [`    and ${formatCount(more)} more; --json names all`] : []),
  ];
}

function describeResult(result: RecoveryOfVersions): string[] {
  return [
    ...result.issues.map(({ message }) => `missing: ${message}`),
    `${result.outcome}: ${counted(result.putBack, "object")}, ${formatBytes(result.putBackBytes)} put back and read back, ${formatCount(result.removed)} removed`,
    "  next: sparekeep check --read-data",
  ].map(printable);
}
