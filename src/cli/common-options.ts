import type { Command } from "commander";
import type { LogLevel } from "../kernel/index.ts";
import { loadPolicy } from "../operation/index.ts";
import { repositoryOnlyPolicy } from "../policy/index.ts";
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
