import type { Command } from "commander";
import type { LogLevel } from "../kernel/index.ts";
import { loadPolicy } from "../operation/index.ts";
import type { OperationContext } from "../operation/index.ts";
import { parseMoment, repositoryOnlyPolicy } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import { cliError } from "./errors.ts";

export const DEFAULT_POLICY_FILE = "sparekeep.yaml";

/** Options that every verb has. */
export interface OutputFlags {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
}

/** Options of the verbs that work on a repository. */
export interface RepositoryFlags extends OutputFlags {
  readonly policy?: string;
  readonly destination?: string;
  readonly repository?: string;
  readonly passwordFile?: string;
  readonly passwordEnv?: string;
}

export function addOutputOptions(command: Command): Command {
  return command
    .option("--json", "print one JSON document on standard output, errors included")
    .option("-q, --quiet", "show no progress")
    .option("-v, --verbose", "log to standard error");
}

export function addPolicyOption(command: Command): Command {
  return command.option("-p, --policy <file>", `the policy (default: ${DEFAULT_POLICY_FILE})`);
}

export function addRepositoryOptions(command: Command): Command {
  return addPolicyOption(command)
    .option("-d, --destination <name>", "destination of the policy; needed where it has several")
    .option("--repository <folder>", "work without a policy on this repository")
    .option("--password-file <file>", "with --repository: the file that holds its password")
    .option("--password-env <name>", "with --repository: the variable that holds its password");
}

/** Options of the verbs that only read a repository. */
export interface ReadingFlags extends RepositoryFlags {
  readonly asOf?: string;
}

export function addReadingOptions(command: Command): Command {
  return addRepositoryOptions(command).option(
    "--as-of <time>",
    "read the repository as it was then, where the store keeps versions",
  );
}

/** The moment named, in the time zone of the policy. */
export function momentOf(text: string, policy: Policy, now: Date): Date {
  const parsed = parseMoment(text, policy.timezone ?? "UTC");
  if ("problem" in parsed) {
    const message = `--as-of ${JSON.stringify(text)}: ${parsed.problem}`;
    throw cliError("usage", { message, hint: parsed.fix });
  }
  if (parsed.moment <= now) return parsed.moment;
  throw cliError("usage", {
    message: `--as-of ${parsed.moment.toISOString()}, which has not come yet`,
    hint: "Name a time in the past, in the time zone of the policy or with an offset.",
  });
}

/** `{ asOf }`, or nothing for the repository as it is. */
export function viewOf(
  flags: ReadingFlags,
  policy: Policy,
  { clock }: Pick<OperationContext, "clock">,
): { readonly asOf?: Date } {
  return flags.asOf === undefined ? {} : { asOf: momentOf(flags.asOf, policy, clock.now()) };
}

/** The policy named, or one made of a repository and its password: all that a fresh machine has. */
export async function policyOf(flags: RepositoryFlags): Promise<Policy> {
  const { repository, passwordFile, passwordEnv } = flags;
  if (repository === undefined) {
    if (passwordFile !== undefined || passwordEnv !== undefined) {
      throw cliError("usage", {
        message: "a password without --repository",
        hint: "Add --repository FOLDER; with a policy the password is named there.",
      });
    }
    return loadPolicy(flags.policy ?? DEFAULT_POLICY_FILE);
  }
  if (flags.policy !== undefined || flags.destination !== undefined) {
    throw cliError("usage", {
      message: "--repository together with --policy or --destination",
      hint: "Name either a policy or a repository.",
    });
  }
  if ((passwordFile === undefined) === (passwordEnv === undefined)) {
    throw cliError("usage", {
      message: "--repository without one place for its password",
      hint: "Add either --password-file FILE or --password-env NAME.",
    });
  }
  const reference =
    passwordFile === undefined ? { env: passwordEnv ?? "" } : { file: passwordFile };
  return repositoryOnlyPolicy(repository, reference);
}

export function logLevelOf(flags: OutputFlags): LogLevel {
  return flags.verbose === true ? "debug" : "silent";
}

/** `{ key: value }`, or nothing where there is no value: for options that may be left out. */
export function given<Key extends string, Value>(
  key: Key,
  value: Value | undefined,
): { readonly [K in Key]?: Value } {
  const entry: { [K in Key]?: Value } = {};
  if (value !== undefined) entry[key] = value;
  return entry;
}
