import type { Bytes } from "../kernel/index.ts";
import type { ProjectManifest } from "../manifest/index.ts";
import type { PointPlan, Source } from "../policy/index.ts";
import type { SnapshotWriter } from "../repository/index.ts";
import { captureProject } from "../source/index.ts";
import type { CapturedProject } from "../source/index.ts";
import type { ManagementApi } from "../supabase/index.ts";
import type { BackupOptions } from "./backup.ts";
import type { OperationContext } from "./context.ts";
import { managementOf } from "./management.ts";
import { placeOf } from "./outside.ts";

/** The configuration of a Supabase project, in the point of its database. docs/spec/project.md */

export interface ProjectSummary {
  readonly documents: number;
  readonly functions: number;
  /** What no API gives back and the policy names no place for: to be looked after, no fault of the run. */
  readonly findings: readonly SecretFinding[];
}

export interface SecretFinding {
  readonly code: "secret_without_place";
  readonly object: string;
  readonly message: string;
  readonly hint: string;
}

/** A point of some tables, or of the schema, is no point of the project. */
export async function apiOf(
  context: OperationContext,
  { capture }: PointPlan,
  source: Source & { readonly name: string },
): Promise<{ readonly api?: ManagementApi }> {
  if (capture !== "everything" || source.management_token === undefined) return {};
  return { api: await managementOf(context, source) };
}

/** Before the database: what belongs together lies within the run, and a refused token is seen before hours of reading. */
export async function storeProject(
  { clock, signal }: OperationContext,
  { policy, onProgress }: BackupOptions,
  {
    api,
    writer,
    sealKey,
  }: {
    readonly api: ManagementApi | undefined;
    readonly writer: SnapshotWriter;
    readonly sealKey: Bytes;
  },
): Promise<CapturedProject | undefined> {
  if (api === undefined) return undefined;
  const progress = { step: "project", doneBytes: 0, totalBytes: 0 };
  return captureProject(writer, {
    api,
    sealKey,
    signal,
    readAt: clock.now(),
    onDocument: (name) => onProgress?.({ ...progress, current: name }),
    placeOf: (name) => placeOf(policy, name),
  });
}

export function summaryOf({ documents, functions, notGiven }: ProjectManifest): ProjectSummary {
  return {
    documents: documents.length,
    functions: functions.length,
    findings: notGiven.flatMap(({ name, what, place }) =>
      place === undefined
        ? [
            {
              code: "secret_without_place" as const,
              object: name,
              message: `${what}: no API gives it back, and the policy names no place where it is kept`,
              hint: `Keep it where you find it on the bad day, and add ${name} under outside: in the policy.`,
            },
          ]
        : [],
    ),
  };
}
