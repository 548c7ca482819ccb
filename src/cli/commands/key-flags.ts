import type { Command } from "commander";
import type { NewPassword } from "../../operation/index.ts";
import { repositoryOnlyPolicy } from "../../policy/index.ts";
import type { Policy } from "../../policy/index.ts";
import { askNewSecret, askSecret } from "../ask-secret.ts";
import { addOutputOptions, addRepositoryOptions, policyOf } from "../common-options.ts";
import type { RepositoryFlags } from "../common-options.ts";
import { cliError } from "../errors.ts";
import { examplesText } from "../examples.ts";
import type { Verb } from "../verb.ts";
import type { CliRuntime } from "../runtime.ts";

/** One verb below `key`, its examples first. */
export function subcommand(key: Command, name: string, examples: Verb["examples"]): Command {
  const command = addOutputOptions(addRepositoryOptions(key.command(name)));
  return command.addHelpText("before", examplesText(examples));
}

/** `--new-password-file`, `--passphrase-env` and the like. */
export function addSecretOptions(command: Command, name: string, what: string): Command {
  return command
    .option(`--${name}-file <file>`, `file of mode 0600 that holds the ${what} (default: typed)`)
    .option(`--${name}-env <name>`, `variable that holds the ${what}`);
}

export interface SecretFlags {
  readonly file: string | undefined;
  readonly env: string | undefined;
  readonly name: string;
  readonly what: string;
  /** One that is made now is typed twice. */
  readonly isNew: boolean;
}

export async function secretOf(runtime: CliRuntime, flags: SecretFlags): Promise<NewPassword> {
  const { file, env, name, what, isNew } = flags;
  const instead = `--${name}-file and --${name}-env`;
  if (file !== undefined && env !== undefined) {
    throw cliError("usage", {
      message: `two places for the ${what}`,
      hint: `Give one of ${instead}.`,
    });
  }
  if (file !== undefined) return { file };
  if (env !== undefined) return { env };
  const ask = isNew ? askNewSecret : askSecret;
  return { typed: await ask(runtime, what, instead) };
}

/** For what is done when the password is lost: with --repository none need be named. */
export async function policyWithoutPassword(flags: RepositoryFlags): Promise<Policy> {
  const { repository, passwordFile, passwordEnv, policy, destination } = flags;
  const named = [passwordFile, passwordEnv, policy, destination].some((flag) => flag !== undefined);
  if (repository === undefined || named) return policyOf(flags);
  // Never looked up.
  return repositoryOnlyPolicy(repository, { env: "SPAREKEEP_NO_PASSWORD" });
}
