import type { Command } from "commander";
import { listSnapshots } from "../../operation/index.ts";
import type { ListedSnapshot } from "../../operation/index.ts";
import { addOutputOptions, addRepositoryOptions, given, policyOf } from "../common-options.ts";
import type { RepositoryFlags } from "../common-options.ts";
import type { Verb } from "../program.ts";
import { formatTable } from "../table.ts";

export const snapshotsVerb: Verb = {
  examples: [
    ["sparekeep snapshots", "what the repository of sparekeep.yaml holds, oldest first"],
    [
      "sparekeep snapshots --repository /mnt/backup --password-file key",
      "on a machine that has no policy",
    ],
  ],
  register: (program: Command, run) =>
    addOutputOptions(addRepositoryOptions(program.command("snapshots")))
      .description("list the recovery points of a repository")
      .action((flags: RepositoryFlags) =>
        run(flags, async ({ context, output, json, document }) => {
          const policy = await policyOf(flags);
          const snapshots = await listSnapshots(context, {
            policy,
            ...given("destination", flags.destination),
          });
          if (json) await document({ snapshots });
          else for (const line of describe(snapshots)) await output.line(line);
          return 0;
        }),
      ),
};

function describe(snapshots: readonly ListedSnapshot[]): string[] {
  if (snapshots.length === 0) return ["no snapshots yet"];
  const head = ["ID", "TIME", "PLAN", "SOURCE", "OUTCOME", "STATE", "HOST", "HELD"];
  const rows = snapshots.map((snapshot) => [
    snapshot.id.slice(0, 8),
    timeText(snapshot.time),
    snapshot.plan ?? "-",
    snapshot.source ?? "-",
    snapshot.outcome === "foreign" ? "not ours" : snapshot.outcome,
    snapshot.state,
    snapshot.hostname,
    snapshot.holds.map(({ by, reason }) => `${by}: ${reason}`).join("; "),
  ]);
  return formatTable(head, rows);
}

/** `2026-11-22 21:30:12Z` */
export function timeText(iso: string): string {
  return iso.replace("T", " ").replace(/\.\d+Z$/, "Z");
}
