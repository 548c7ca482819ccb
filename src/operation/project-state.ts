import { hash } from "node:crypto";
import { AppError, collectBytes } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import type { ProjectManifest } from "../manifest/index.ts";
import { sourceOf } from "../repository/index.ts";
import type { Repository, Snapshot, SnapshotReader } from "../repository/index.ts";
import { readProject } from "../source/index.ts";
import type { ProjectIssue } from "../source/index.ts";
import type { ManagementApi } from "../supabase/index.ts";
import type { OnProgress } from "./context.ts";
import { operationError } from "./errors.ts";
import { readManifest } from "./manifest-of.ts";
import { entryPath } from "./path-text.ts";

/** A project's configuration: as a snapshot holds it, and as the API gives it now. */
export interface CapturedSettings {
  readonly documents: ReadonlyMap<string, unknown>;
  /** SHA-256 by path as deployed, by slug. */
  readonly functions: ReadonlyMap<string, ReadonlyMap<string, string>>;
  readonly absent: ReadonlyMap<string, string>;
}

export interface PointOfProject {
  readonly snapshot: Snapshot;
  readonly project: ProjectManifest;
}

/** The newest point that holds a configuration: of the source, where one is named. */
export async function newestProjectPoint(
  repository: Repository,
  reader: SnapshotReader,
  source: string | undefined,
  signal: AbortSignal,
): Promise<PointOfProject> {
  const snapshots = await repository.snapshots({ signal });
  for (const snapshot of snapshots.toReversed()) {
    if (source !== undefined && sourceOf(snapshot) !== source) continue;
    const project = await projectOf(reader, snapshot, signal);
    if (project !== undefined) return { snapshot, project };
  }
  const what = source === undefined ? "no point" : `no point of source ${source}`;
  throw operationError("no_project_point", {
    message: `${what} that holds the project's configuration`,
    subject: source === undefined ? {} : { source },
  });
}

export async function projectOf(
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

export async function storedSettings(
  reader: SnapshotReader,
  { snapshot, project }: PointOfProject,
  signal: AbortSignal,
): Promise<CapturedSettings> {
  const documents = new Map<string, unknown>();
  for (const { name, path } of project.documents) {
    const bytes = await readStored(reader, snapshot, path, signal);
    documents.set(name, JSON.parse(Buffer.from(bytes).toString("utf8")));
  }
  const functions = project.functions.map(
    ({ slug, files }) => [slug, new Map(files.map(({ name, sha256 }) => [name, sha256]))] as const,
  );
  return {
    documents,
    functions: new Map(functions),
    absent: new Map(project.absent.map(({ name, reason }) => [name, reason])),
  };
}

export async function readStored(
  reader: SnapshotReader,
  snapshot: Snapshot,
  path: string,
  signal: AbortSignal,
): Promise<Bytes> {
  const entry = await reader.find(snapshot, entryPath(path), { signal });
  return collectBytes(reader.read(entry, { signal }));
}

/** Secrets are sealed with `sealKey`, as in the points of its repository: the same secret has the same seal. */
export async function liveSettings(
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
): Promise<{ readonly settings: CapturedSettings; readonly issues: readonly ProjectIssue[] }> {
  const documents = new Map<string, unknown>();
  const functions = new Map<string, ReadonlyMap<string, string>>();
  const { issues, absent } = await readProject(
    api,
    {
      sealKey,
      signal,
      onDocument: (name) =>
        onProgress?.({ step: "project", doneBytes: 0, totalBytes: 0, current: name }),
    },
    {
      document: async (name, text) => void documents.set(name, JSON.parse(text)),
      functionFiles: async (slug, files) =>
        void functions.set(
          slug,
          new Map(files.map(({ path, bytes }) => [path, hash("sha256", bytes, "hex")])),
        ),
    },
  );
  const missing = new Map(absent.map(({ name, reason }) => [name, reason]));
  return { settings: { documents, functions, absent: missing }, issues };
}
