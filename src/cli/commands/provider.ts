import type { Command } from "commander";
import { counted, KIND_RULES } from "../../kernel/index.ts";
import { loadPolicy, watchProviders } from "../../operation/index.ts";
import type { ProviderLine } from "../../operation/index.ts";
import {
  addOutputOptions,
  addPolicyOption,
  DEFAULT_POLICY_FILE,
  given,
} from "../common-options.ts";
import type { OutputFlags } from "../common-options.ts";
import { printable } from "../printable.ts";
import { timeText } from "../time-text.ts";
import type { Verb } from "../verb.ts";

interface ProviderFlags extends OutputFlags {
  readonly policy?: string;
}

export const providerVerb: Verb = {
  examples: [
    ["sparekeep provider", "what the provider holds, against what the policy expects of it"],
    ["sparekeep provider database --json", "of one source, for a program"],
  ],
  register: (program: Command, run) =>
    addOutputOptions(addPolicyOption(program.command("provider")))
      .description(
        "watch the backups that the provider makes (exit 21 where an expectation is missed)",
      )
      .argument("[source]", "source of the policy (default: every one under `provider:`)")
      .action((source: string | undefined, flags: ProviderFlags) =>
        run(flags, async ({ context, output, json, document }) => {
          const result = await watchProviders(context, {
            policy: await loadPolicy(flags.policy ?? DEFAULT_POLICY_FILE),
            ...given("source", source),
          });
          if (json) await document(result);
          else {
            for (const line of result.providers.flatMap(describe)) await output.line(line);
          }
          return result.outcome === "met" ? 0 : KIND_RULES["objective-missed"].exitCode;
        }),
      ),
};

function describe(line: ProviderLine): string[] {
  const { source, project, region, status, expected, lastWrite, findings, notes } = line;
  const written =
    "at" in lastWrite
      ? `${timeText(lastWrite.at)} (${lastWrite.from})`
      : `not known: ${lastWrite.unknown}`;
  return [
    `${line.outcome}: provider of ${source}, project ${project} in ${region}, ${status}`,
    `  expected: ${expected.map((kind) => (kind === "pitr" ? "point-in-time recovery" : "daily backups")).join(" or ")}`,
    `  there is: ${held(line)}`,
    `  last write: ${written}`,
    ...notes.map((note) => `  note: ${note}`),
    ...findings.flatMap(({ code, message, hint }) => [`  ${code}: ${message}`, `    fix: ${hint}`]),
  ].map(printable);
}

function held({ pitr, window, backups }: ProviderLine): string {
  if (pitr) {
    return window === undefined
      ? "point-in-time recovery without a window"
      : `point-in-time recovery from ${timeText(window.earliest)} to ${timeText(window.latest)}`;
  }
  const usable = backups.filter(({ status }) => status === "COMPLETED");
  const [newest] = usable;
  if (newest === undefined) return "no daily backup";
  return `${counted(usable.length, "daily backup")}, the newest of ${timeText(newest.at)}`;
}
