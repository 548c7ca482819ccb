import type { Command } from "commander";
import { counted, EXIT_INCOMPLETE } from "../../kernel/index.ts";
import { diffProject, loadPolicy } from "../../operation/index.ts";
import type { ProjectChange, ProjectDiff } from "../../operation/index.ts";
import {
  addOutputOptions,
  addPolicyOption,
  DEFAULT_POLICY_FILE,
  given,
} from "../common-options.ts";
import type { OutputFlags } from "../common-options.ts";
import { examplesText } from "../examples.ts";
import { printable } from "../printable.ts";
import { timeText } from "../time-text.ts";
import type { RunVerb, Verb } from "../verb.ts";
import { registerProjectApply, shown } from "./project-apply.ts";

interface ProjectDiffFlags extends OutputFlags {
  readonly policy?: string;
  readonly destination?: string;
}

export const projectVerb: Verb = {
  examples: [
    ["sparekeep project diff", "what of the project's settings changed since the newest point"],
    [
      "sparekeep project apply latest --to staging --dry-run",
      "what would make another project's settings those of the newest point",
    ],
  ],
  register: (program: Command, run, runtime) => {
    const project = program
      .command("project")
      .description("the configuration of a Supabase project (each has --json)")
      .helpCommand(false);
    registerDiff(project, run);
    registerProjectApply(project, run, runtime);
    return project;
  },
};

const DIFF_EXAMPLES: Verb["examples"] = [
  ["sparekeep project diff", "+ added, - removed, M another value since the newest point"],
  ["sparekeep project diff database --json", "of one source, for a program"],
];

function registerDiff(project: Command, run: RunVerb): void {
  addOutputOptions(addPolicyOption(project.command("diff")))
    .addHelpText("before", examplesText(DIFF_EXAMPLES))
    .description(
      "compare the project as it is with the newest point (exit 3 where a part cannot be read)",
    )
    .argument("[source]", "source of the policy; needed where several have a token")
    .option("-d, --destination <name>", "where the point lies; needed where plans write to several")
    .action((source: string | undefined, flags: ProjectDiffFlags) =>
      run(flags, async ({ context, output, json, document, progress }) => {
        const result = await diffProject(context, {
          policy: await loadPolicy(flags.policy ?? DEFAULT_POLICY_FILE),
          ...given("source", source),
          ...given("destination", flags.destination),
          onProgress: (step) => progress.update(step),
        });
        progress.finish();
        if (json) await document(result);
        else for (const line of describe(result)) await output.line(line);
        return result.outcome === "incomplete" ? EXIT_INCOMPLETE : 0;
      }),
    );
}

const SIGNS = { added: "+", removed: "-", changed: "M" } as const;

function describe(result: ProjectDiff): string[] {
  const { issues, changes, snapshot, readAt, source, project } = result;
  return [
    `project ${project} of ${source}, against snapshot ${snapshot.slice(0, 8)} of ${timeText(readAt)}`,
    ...changes.map(changeLine),
    ...issues.flatMap(({ object, message, hint }) => [
      `missing: ${object}: ${message}`,
      ...(hint === undefined ? [] : [`  fix: ${hint}`]),
    ]),
    `${result.outcome}: ${counted(changes.length, "change")}`,
  ].map(printable);
}

function changeLine({ change, document, path, before, after }: ProjectChange): string {
  const values =
    change === "changed" && before !== undefined
      ? `: ${shown(before)} is now ${shown(after)}`
      : change === "added" && after !== undefined
        ? `: ${shown(after)}`
        : change === "removed" && before !== undefined
          ? `: was ${shown(before)}`
          : "";
  return `${SIGNS[change]}  ${document}${path.startsWith(".") || path.startsWith("[") || path === "" ? path : ` ${path}`}${values}`;
}
