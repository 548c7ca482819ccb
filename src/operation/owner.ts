import type { OperationContext } from "./context.ts";

/** Who stands in the locks of a repository. */
export function ownerOf({ hostname, actor, pid }: OperationContext): {
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
} {
  return { hostname, username: actor, pid };
}
