import type { Command } from "commander";
import { listSnapshots } from "../../operation/index.ts";
import type { ListedSnapshot, SnapshotLine } from "../../operation/index.ts";
import { addOutputOptions, addReadingOptions, given, policyOf, viewOf } from "../common-options.ts";
import type { ReadingFlags } from "../common-options.ts";
import { cliError } from "../errors.ts";
import { printable } from "../printable.ts";
import type { Verb } from "../verb.ts";
import { formatTable } from "../table.ts";
import { timeText } from "../time-text.ts";

interface SnapshotsFlags extends ReadingFlags {
  readonly locks?: boolean;
}

export const snapshotsVerb: Verb = {
  examples: [
    ["sparekeep snapshots", "what the repository of sparekeep.yaml holds, oldest first"],
    [
      "sparekeep snapshots --repository /mnt/backup --password-file key",
      "on a machine that has no policy",
    ],
    [
      "sparekeep snapshots --as-of '2026-11-20 14:31'",
      "what it held then, before an intruder came",
    ],
    ["sparekeep snapshots --locks", "until when nobody deletes each of them"],
  ],
  register: (program: Command, run) =>
    addOutputOptions(addReadingOptions(program.command("snapshots")))
      .description("list the recovery points of a repository")
      .option("--locks", "read until when each is locked: one request for every object of theirs")
      .action((flags: SnapshotsFlags) =>
        run(flags, async ({ context, output, json, document }) => {
          const policy = await policyOf(flags);
          refuseLocksOfThePast(flags);
          const snapshots = await listSnapshots(context, {
            policy,
            ...given("destination", flags.destination),
            ...viewOf(flags, policy, context),
            locks: flags.locks === true,
          });
          if (json) await document({ snapshots });
          else for (const line of describe(snapshots)) await output.line(line);
          return 0;
        }),
      ),
};

/** What is locked now is a matter of now. */
function refuseLocksOfThePast(flags: SnapshotsFlags): void {
  if (flags.locks !== true || flags.asOf === undefined) return;
  throw cliError("usage", {
    message: "--locks together with --as-of",
    hint: "Leave one of them out: a store tells the locks of now alone.",
  });
}

function describe(snapshots: readonly ListedSnapshot[]): string[] {
  if (snapshots.length === 0) return ["no snapshots yet"];
  const locks = snapshots.some(({ lock }) => lock !== undefined);
  const columns = ["ID", "TIME", "PLAN", "SOURCE", "OUTCOME", "STATE", "HOST"];
  const held = snapshots.some(({ holds }) => holds.length > 0);
  const limited = snapshots.some(({ scope }) => scope === "tables");
  const scopes = limited ? ["HOLDS"] : [];
  const head = [...columns, ...scopes, ...(held ? ["HELD"] : []), ...(locks ? ["LOCKED"] : [])];
  const rows = snapshots.map((snapshot) => [
    snapshot.id.slice(0, 8),
    timeText(snapshot.time),
    snapshot.plan ?? "-",
    snapshot.source ?? "-",
    snapshot.outcome === "foreign" ? "not ours" : snapshot.outcome,
    snapshot.state,
    snapshot.hostname,
    ...(limited ? [snapshot.scope ?? "-"] : []),
    ...(held ? [snapshot.holds.map(({ by, reason }) => `${by}: ${reason}`).join("; ")] : []),
    ...(locks ? [lockText(snapshot.lock)] : []),
  ]);
  return [...formatTable(head, rows), ...snapshots.flatMap(doubtLines)];
}

/** What a person who is to accept it has to know; `--json` has all of it. */
function doubtLines({ id, doubt }: ListedSnapshot): string[] {
  if (doubt === undefined) return [];
  const { details } = doubt;
  const said = Object.entries(details).filter(([key]) => /^(message|finding \d+|said)$/.test(key));
  const [first, ...rest] = said.map(([, value]) => String(value));
  const count = Number(details["findings"] ?? said.length) - 1;
  const more = first === undefined || rest.length === 0 ? "" : ` (and ${count} more: --json)`;
  return [printable(`suspect ${id.slice(0, 8)}: ${first ?? String(details["how"] ?? "")}${more}`)];
}

function lockText(lock: SnapshotLine["lock"]): string {
  if (lock === undefined || lock === null) return "no";
  return `${lock.mode} until ${timeText(lock.until)}`;
}
