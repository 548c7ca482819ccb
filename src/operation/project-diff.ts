/*
 * effects
 *   reads         the project's configuration as it is, through the Management API; the newest point that holds it
 *   writes        one audit record
 *   locks         none
 *   leaves behind nothing
 *   exit codes    0, also where something differs; 1 the Management API cannot be reached or no point holds a configuration; 3 a part could not be read; 10 no repository; 12 wrong password; 20 damaged; 130
 */
import { hash } from "node:crypto";
import { AppError, collectBytes } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import type { ProjectManifest } from "../manifest/index.ts";
import { destinationNamed, sourceNamed } from "../policy/index.ts";
import type { RepositoryDestination, Named, Policy } from "../policy/index.ts";
import { sourceOf } from "../repository/index.ts";
import type { Repository, Snapshot, SnapshotReader } from "../repository/index.ts";
import { readProject } from "../source/index.ts";
import type { ProjectIssue } from "../source/index.ts";
import type { ManagementApi } from "../supabase/index.ts";
import { recordAccess } from "./audit-log.ts";
import { compareProject } from "./compare-project.ts";
import type { ProjectChange, ProjectState } from "./compare-project.ts";
import type { OnProgress, OperationContext } from "./context.ts";
import { operationError } from "./errors.ts";
import { managementOf } from "./management.ts";
import { readManifest } from "./manifest-of.ts";
import { openDestination } from "./open.ts";
import { entryPath } from "./path-text.ts";
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
  const found = await newestOf(repository, reader, source, signal);
  const before = await storedState(reader, found.snapshot, found.project, signal);
  const sealKey = repository.deriveKey(ROW_HASH_LABEL);
  const { state, issues } = await liveState(api, { sealKey, signal, onProgress });
  const { documents, files } = state;
  const read = new Set([...documents.keys(), ...[...files.keys()].map(functionOf)]);
  // What could not be read now is an issue, and not taken for gone.
  const passOver = (name: string): boolean => issues.length > 0 && !read.has(name);
  const changes = compareProject(before, state, passOver);
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

/** The configuration as the API gives it now, secrets sealed as in a point of this repository. */
async function liveState(
  api: ManagementApi,
  {
    sealKey,
    signal,
    onProgress,
  }: {
    readonly sealKey: Bytes;
    readonly signal: AbortSignal;
    readonly onProgress: OnProgress | undefined;
  },
): Promise<{ readonly state: ProjectState; readonly issues: readonly ProjectIssue[] }> {
  const files = new Map<string, string>();
  const documents = new Map<string, unknown>();
  const { issues } = await readProject(
    api,
    {
      sealKey,
      signal,
      onDocument: (name) =>
        onProgress?.({ step: "project", doneBytes: 0, totalBytes: 0, current: name }),
    },
    {
      document: async (name, text) => void documents.set(name, JSON.parse(text)),
      functionFiles: async (slug, sources) => {
        for (const { path, bytes } of sources) {
          files.set(`${slug}/${path}`, hash("sha256", bytes, "hex"));
        }
      },
    },
  );
  return { state: { documents, files }, issues };
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

async function newestOf(
  repository: Repository,
  reader: SnapshotReader,
  source: string,
  signal: AbortSignal,
): Promise<{ readonly snapshot: Snapshot; readonly project: ProjectManifest }> {
  const snapshots = await repository.snapshots({ signal });
  for (const snapshot of snapshots.toReversed()) {
    if (sourceOf(snapshot) !== source) continue;
    const project = await projectOf(reader, snapshot, signal);
    if (project !== undefined) return { snapshot, project };
  }
  throw operationError("no_project_point", {
    message: `no point of source ${source} that holds the project's configuration`,
    subject: { source },
  });
}

async function projectOf(
  reader: SnapshotReader,
  snapshot: Snapshot,
  signal: AbortSignal,
): Promise<ProjectManifest | undefined> {
  try {
    return (await readManifest(reader, snapshot, signal)).project;
  } catch (thrown) {
    // A point of another kind, with no manifest of ours.
    if (thrown instanceof AppError && thrown.code === "operation.not_a_database_snapshot")
      return undefined;
    throw thrown;
  }
}

async function storedState(
  reader: SnapshotReader,
  snapshot: Snapshot,
  project: ProjectManifest,
  signal: AbortSignal,
): Promise<ProjectState> {
  const documents = new Map<string, unknown>();
  for (const { name, path } of project.documents) {
    const entry = await reader.find(snapshot, entryPath(path), { signal });
    const bytes = await collectBytes(reader.read(entry, { signal }));
    documents.set(name, JSON.parse(Buffer.from(bytes).toString("utf8")));
  }
  const files = project.functions.flatMap(({ slug, files: each }) =>
    each.map(({ name, sha256 }) => [`${slug}/${name}`, sha256] as const),
  );
  return { documents, files: new Map(files) };
}
