import type { Secret } from "../../kernel/index.ts";
import type { Destination, Named, Policy } from "../../policy/index.ts";
import { judgePassword } from "../../repository/index.ts";
import type { OperationContext } from "../context.ts";
import { operationError } from "../errors.ts";

/** What is weak about a password that was taken all the same; `undefined` where nothing is. */
export function demandStrong(
  context: OperationContext,
  password: Secret,
  options: {
    readonly what: string;
    readonly allowWeak: boolean;
    readonly policy: Policy;
    readonly destination?: Named<Destination>;
  },
): string | undefined {
  const { hostname, actor } = context;
  const { policy, destination, what, allowWeak } = options;
  const names = [hostname, actor, policy.name, destination?.name ?? ""];
  demandUnpadded(password, what);
  const { weakness } = judgePassword(password.reveal(), names);
  if (weakness === undefined || allowWeak) return weakness;
  throw operationError("weak_password", { message: `${what} ${weakness}` });
}

/** Whatever it is read back from takes white space around it for the end of a line, as restic does. */
export function demandUnpadded(password: Secret, what: string): void {
  if (password.reveal().trim() === password.reveal()) return;
  throw operationError("padded_password", {
    message: `${what} that begins or ends with white space`,
  });
}
