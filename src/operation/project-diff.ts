/*
 * effects
 *   reads         the project's configuration as it is, through the Management API; the newest point that holds it
 *   writes        one audit record
 *   locks         none
 *   leaves behind nothing
 *   exit codes    0, also where something differs; 1 the Management API cannot be reached or no point holds a configuration; 3 a part could not be read; 10 no repository; 12 wrong password; 20 damaged; 130
 */
import { destinationNamed, sourceNamed } from "../policy/index.ts";
import type { RepositoryDestination, Named, Policy } from "../policy/index.ts";
import type { Repository } from "../repository/index.ts";
import type { ProjectIssue } from "../source/index.ts";
import type { ManagementApi } from "../supabase/index.ts";
import { recordAccess } from "./audit-log.ts";
import { compareProject } from "./compare-project.ts";
import type { ProjectChange, ProjectState } from "./compare-project.ts";
import type { OnProgress, OperationContext } from "./context.ts";
import { managementOf } from "./management.ts";
import { openDestination } from "./open.ts";
import { liveSettings, newestProjectPoint, storedSettings } from "./project-state.ts";
import type { CapturedSettings } from "./project-state.ts";
import { ROW_HASH_LABEL } from "./row-hash-label.ts";

export interface DiffProjectOptions {
  readonly policy: Policy;
  /** The only one that has a token when left out. */
  readonly source?: string;
  readonly destination?: string;
  readonly onProgress?: OnProgress;
}

export interface ProjectDiff {
  readonly outcome: "same" | "drifted" | "incomplete";
  readonly source: string;
  readonly project: string;
  readonly snapshot: string;
  /** When the point's configuration was read. */
  readonly readAt: string;
  readonly changes: readonly ProjectChange[];
  readonly issues: readonly ProjectIssue[];
}

export async function diffProject(
  context: OperationContext,
  options: DiffProjectOptions,
): Promise<ProjectDiff> {
  const { policy } = options;
  const withToken = Object.entries(policy.sources).filter(
    ([, { management_token: token }]) => token !== undefined,
  );
  const only = withToken.length === 1 ? withToken[0]?.[0] : undefined;
  const source = sourceNamed(policy, options.source ?? only);
  const destination = projectDestination(policy, source.name, options.destination);
  await recordAccess(context, policy, "project", {
    step: "diff",
    source: source.name,
    destination: destination.name,
  });
  const api = await managementOf(context, source);
  const repository = await openDestination(context, destination);
  return compareWithNewest(context, { source: source.name, api, repository }, options.onProgress);
}

/** The project as it is, against the newest point of its source that holds a configuration. Records nothing. */
export async function compareWithNewest(
  { signal }: OperationContext,
  {
    source,
    api,
    repository,
  }: {
    readonly source: string;
    readonly api: ManagementApi;
    readonly repository: Repository;
  },
  onProgress?: OnProgress,
): Promise<ProjectDiff> {
  const reader = await repository.acquireReader({ signal });
  const found = await newestProjectPoint(repository, reader, source, signal);
  const before = stateOf(await storedSettings(reader, found, signal));
  const sealKey = repository.deriveKey(ROW_HASH_LABEL);
  const live = await liveSettings(api, { sealKey, signal, onProgress });
  const { issues } = live;
  const after = stateOf(live.settings);
  const read = new Set([...after.documents.keys(), ...[...after.files.keys()].map(functionOf)]);
  // What could not be read now is an issue, and not taken for gone.
  const passOver = (name: string): boolean => issues.length > 0 && !read.has(name);
  const changes = compareProject(before, after, passOver);
  return {
    outcome: issues.length > 0 ? "incomplete" : changes.length > 0 ? "drifted" : "same",
    source,
    project: api.ref,
    snapshot: found.snapshot.id,
    readAt: found.project.readAt,
    changes,
    issues,
  };
}

function stateOf({ documents, functions }: CapturedSettings): ProjectState {
  const files = [...functions].flatMap(([slug, each]) =>
    [...each].map(([path, sha256]) => [`${slug}/${path}`, sha256] as const),
  );
  return { documents, files: new Map(files) };
}

function functionOf(file: string): string {
  return `function ${file.split("/")[0] ?? ""}`;
}

/** Where the source's plans that capture a configuration write to, if that is one place. */
export function projectDestination(
  policy: Policy,
  source: string,
  name?: string,
): Named<RepositoryDestination> {
  const places = new Set(
    Object.values(policy.plans).flatMap((plan) =>
      plan.source === source && plan.capture === "everything" ? [plan.to] : [],
    ),
  );
  const [only] = places;
  return destinationNamed(policy, name ?? (places.size === 1 ? only : undefined));
}
