import type { Named, Policy, Source } from "../policy/index.ts";
import { targetNamed } from "../policy/index.ts";
import { operationError } from "./errors.ts";

/**
 * The project that `--to` names: a target, or with `sameProject` the snapshot's own. A project that the policy protects is
 * refused by its reference, whatever it is called: an alias among the targets is no way around.
 */
export function applyTarget(
  policy: Policy,
  { to, sameProject, ownRef }: { to: string; sameProject: boolean; ownRef: string },
): Named<Source> {
  const own = Object.hasOwn(policy.sources, to) ? policy.sources[to] : undefined;
  const target =
    own === undefined || Object.hasOwn(policy.targets, to)
      ? targetNamed(policy, to)
      : { ...own, name: to };
  const isProtected = Object.values(policy.sources).some(
    ({ project }) => project !== undefined && project === target.project,
  );
  const isOwn = target.project === ownRef;
  if (!isProtected && !isOwn) return target;
  if (isOwn && sameProject) return target;
  const whose = isOwn ? "the snapshot's own project" : "another project that the policy protects";
  throw operationError("project_is_source", {
    message: `${to}, which is ${whose}, ${target.project ?? ""}`,
    ...(isOwn
      ? {}
      : { hint: "Name a target; a project that is protected takes its own settings alone." }),
    subject: { target: to },
  });
}
