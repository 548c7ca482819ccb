import type { Secret } from "../kernel/index.ts";
import { connectionUrl } from "../operation/index.ts";
import type { OperationContext } from "../operation/index.ts";
import { passwordProblem, targetNamed } from "../policy/index.ts";
import type { ConnectionReference, Policy } from "../policy/index.ts";
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

export async function targetUrl(
  context: OperationContext,
  policy: Policy,
  flags: ConnectionFlags & { readonly target?: string },
): Promise<Secret> {
  if (flags.target === undefined) {
    const names = "--to, --to-env, --to-file and --target";
    return connectionUrl(context, connectionOf(flags, names, "--to-env or --to-file"));
  }
  if (flags.text !== undefined || flags.env !== undefined || flags.file !== undefined) {
    throw cliError("usage", {
      message: "--target together with another target",
      hint: "Give exactly one of --to, --to-env, --to-file and --target.",
    });
  }
  return connectionUrl(context, targetNamed(policy, flags.target).connection);
}
