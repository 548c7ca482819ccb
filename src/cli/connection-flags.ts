import type { Secret } from "../kernel/index.ts";
import { connectionUrl } from "../operation/index.ts";
import type { OperationContext } from "../operation/index.ts";
import { passwordProblem, targetNamed } from "../policy/index.ts";
import type { ConnectionReference, Policy } from "../policy/index.ts";
import { given } from "./common-options.ts";
import { cliError } from "./errors.ts";

/** One connection, given in exactly one of the ways that keep its password out of the arguments. */
export interface ConnectionFlags {
  readonly text?: string;
  readonly env?: string;
  readonly file?: string;
}

export function connectionOf(
  flags: ConnectionFlags,
  names: string,
  secretNames: string,
): ConnectionReference {
  const { text, env, file } = flags;
  const count = [text, env, file].filter((value) => value !== undefined).length;
  if (count !== 1) {
    throw cliError("usage", {
      message: `${count === 0 ? "no" : "more than one"} connection on the command line`,
      hint: `Give exactly one of ${names}.`,
    });
  }
  if (env !== undefined) return { env };
  if (file !== undefined) return { file };
  return { text: withoutPassword(text ?? "", secretNames) };
}

function withoutPassword(text: string, names: string): string {
  const problem = passwordProblem(text);
  if (problem === undefined) return text;
  if (problem.includes("password")) {
    throw cliError("password_in_argument", {
      message: "a password in an argument, where every process can read it",
      hint: `Put the connection string into a variable or a file of mode 0600 and name that: ${names}.`,
    });
  }
  throw cliError("usage", {
    message: problem,
    hint: "Write it as postgresql://user@host:5432/database.",
  });
}

/** Where to: `--to`, `--to-env`, `--to-file`, or `--target` of the policy. */
export interface TargetFlags {
  readonly to?: string;
  readonly toEnv?: string;
  readonly toFile?: string;
  readonly target?: string;
}

export async function targetUrl(
  context: OperationContext,
  policy: Policy,
  { to, toEnv, toFile, target }: TargetFlags,
): Promise<Secret> {
  if (target === undefined) {
    const flags = { ...given("text", to), ...given("env", toEnv), ...given("file", toFile) };
    const names = "--to, --to-env, --to-file and --target";
    return connectionUrl(context, connectionOf(flags, names, "--to-env or --to-file"));
  }
  if (to !== undefined || toEnv !== undefined || toFile !== undefined) {
    throw cliError("usage", {
      message: "--target together with another target",
      hint: "Give exactly one of --to, --to-env, --to-file and --target.",
    });
  }
  return connectionUrl(context, targetNamed(policy, target).connection);
}
