import type { Command } from "commander";
import { endHold, holdSnapshots, readHolds } from "../../operation/index.ts";
import type { HoldLine } from "../../operation/index.ts";
import { addOutputOptions, addRepositoryOptions, given, policyOf } from "../common-options.ts";
import type { RepositoryFlags } from "../common-options.ts";
import { cliError } from "../errors.ts";
import { examplesText } from "../examples.ts";
import { printable } from "../printable.ts";
import type { RunVerb, Verb } from "../verb.ts";
import { formatTable } from "../table.ts";
import { timeText } from "../time-text.ts";

interface AddFlags extends RepositoryFlags {
  readonly reason: string;
  readonly plan?: string;
  readonly from?: Date;
  readonly to?: Date;
  readonly until?: Date;
}

interface ReleaseFlags extends RepositoryFlags {
  readonly reason: string;
}

const ADD_EXAMPLES: Verb["examples"] = [
  ['sparekeep hold add 1a2b3c4d --reason "audit of 2026"', "nobody forgets it until released"],
  [
    'sparekeep hold add --plan nightly --from 2026-01-01 --to 2026-03-31 --reason "case 17"',
    "a range of time, points to come included",
  ],
];
const LIST_EXAMPLES: Verb["examples"] = [
  ["sparekeep hold list", "who held what, and who released it"],
];
const RELEASE_EXAMPLES: Verb["examples"] = [
  ['sparekeep hold release 5e6f --reason "audit is over"', "the hold whose id begins so"],
];

export const holdVerb: Verb = {
  examples: [...ADD_EXAMPLES, ...LIST_EXAMPLES, ...RELEASE_EXAMPLES],
  register: (program: Command, run) => {
    const hold = program
      .command("hold")
      .description("keep snapshots whatever retention says: add, list, release (each has --json)")
      .helpCommand(false);
    registerAdd(hold, run);
    registerList(hold, run);
    registerRelease(hold, run);
    return hold;
  },
};

function registerAdd(hold: Command, run: RunVerb): void {
  addOutputOptions(addRepositoryOptions(hold.command("add")))
    .addHelpText("before", examplesText(ADD_EXAMPLES))
    .description("hold snapshots, or a range of time")
    .argument("[snapshots...]", "ids, their first digits, or latest")
    .requiredOption("--reason <text>", "why, for whoever reads it later")
    .option("--plan <name>", "a range: of this plan alone")
    .option("--from <time>", "a range: from this day or moment on (UTC)", parseFrom)
    .option("--to <time>", "a range: up to this day or moment", parseTo)
    .option("--until <time>", "the hold ends by itself then (UTC)", parseFrom)
    .action((snapshots: readonly string[], flags: AddFlags) =>
      run(flags, async ({ context, output, json, document }) => {
        const { plan, from, to, reason } = flags;
        const ranged = plan !== undefined || from !== undefined || to !== undefined;
        if (!ranged && snapshots.length === 0) {
          throw cliError("usage", {
            message: "a hold of nothing",
            hint: "Name snapshots, or a range with --plan, --from and --to.",
          });
        }
        const range = { ...given("plan", plan), ...given("from", from), ...given("to", to) };
        const added = await holdSnapshots(context, {
          policy: await policyOf(flags),
          ...given("destination", flags.destination),
          snapshots,
          ...(ranged ? { range } : {}),
          reason,
          ...given("until", flags.until),
        });
        if (json) await document(added);
        else await output.line(printable(`hold ${added.id.slice(0, 8)}: ${heldText(added)}`));
        return 0;
      }),
    );
}

function registerList(hold: Command, run: RunVerb): void {
  addOutputOptions(addRepositoryOptions(hold.command("list")))
    .addHelpText("before", examplesText(LIST_EXAMPLES))
    .description("list holds, those that ended too")
    .action((flags: RepositoryFlags) =>
      run(flags, async ({ context, output, json, document }) => {
        const holds = await readHolds(context, {
          policy: await policyOf(flags),
          ...given("destination", flags.destination),
        });
        if (json) await document({ holds });
        else for (const line of describe(holds)) await output.line(line);
        return 0;
      }),
    );
}

function registerRelease(hold: Command, run: RunVerb): void {
  addOutputOptions(addRepositoryOptions(hold.command("release")))
    .addHelpText("before", examplesText(RELEASE_EXAMPLES))
    .description("end a hold; its record and this one stay readable")
    .argument("<hold>", "id, or its first digits")
    .requiredOption("--reason <text>", "why, for whoever reads it later")
    .action((id: string, flags: ReleaseFlags) =>
      run(flags, async ({ context, output, json, document }) => {
        const released = await endHold(context, {
          policy: await policyOf(flags),
          ...given("destination", flags.destination),
          hold: id,
          reason: flags.reason,
        });
        if (json) await document(released);
        else await output.line(`hold ${released.id.slice(0, 8)} released`);
        return 0;
      }),
    );
}

function describe(holds: readonly HoldLine[]): string[] {
  if (holds.length === 0) return ["no holds"];
  const rows = holds.map((hold) => [
    hold.id.slice(0, 8),
    timeText(hold.at),
    hold.by,
    hold.state,
    heldText(hold),
    hold.reason,
    hold.released === undefined ? "" : `${hold.released.by}: ${hold.released.reason}`,
  ]);
  return formatTable(["ID", "SINCE", "BY", "STATE", "HOLDS", "REASON", "RELEASED"], rows);
}

function heldText({ snapshots, range, until }: HoldLine): string {
  const ids = snapshots.map((id) => id.slice(0, 8)).join(" ");
  const { plan, from, to } = range ?? {};
  const ranged =
    range === undefined
      ? ""
      : `${plan ?? "every plan"} ${from === undefined ? "" : timeText(from)}..${to === undefined ? "" : timeText(to)}`;
  const end = until === undefined ? "" : ` until ${timeText(until)}`;
  return [ids, ranged].filter((part) => part !== "").join(", ") + end;
}

/** A day is its first moment in UTC. */
function parseFrom(text: string): Date {
  return parseTime(text, "00:00:00.000Z");
}

/** A day is its last moment. */
function parseTo(text: string): Date {
  return parseTime(text, "23:59:59.999Z");
}

function parseTime(text: string, ofDay: string): Date {
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(text);
  const isMoment = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})$/.test(
    text,
  );
  const time = new Date(isDay ? `${text}T${ofDay}` : text);
  if ((isDay || isMoment) && !Number.isNaN(time.getTime()) && sameDay(text, time, isDay))
    return time;
  throw cliError("usage", {
    message: `"${text.slice(0, 40)}" that is no day and no moment`,
    hint: "Write 2026-12-31, or 2026-12-31T18:00:00Z.",
  });
}

/** 31 June is no day, though a Date makes 1 July of it. */
function sameDay(text: string, time: Date, isDay: boolean): boolean {
  return !isDay || time.toISOString().startsWith(text);
}
