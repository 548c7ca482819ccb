/** A project's configuration into an open snapshot: `project/NAME.json`, `project/functions/SLUG/…`. */
import type { Bytes } from "../../kernel/index.ts";
import type { ProjectFile, ProjectManifest } from "../../manifest/index.ts";
import type { SnapshotWriter } from "../../repository/index.ts";
import type { ManagementApi } from "../../supabase/index.ts";
import { placeFile } from "./function-path.ts";
import { PROJECT_API, readProject } from "./read.ts";
import type { ProjectIssue, ReadProjectOptions } from "./read.ts";

export interface CaptureProjectOptions extends ReadProjectOptions {
  readonly api: ManagementApi;
  readonly readAt: Date;
  /** Where the policy says that a secret is kept. */
  readonly placeOf: (name: string) => string | undefined;
}

export interface CapturedProject {
  readonly project: ProjectManifest;
  readonly issues: readonly ProjectIssue[];
}

export async function captureProject(
  writer: SnapshotWriter,
  options: CaptureProjectOptions,
): Promise<CapturedProject> {
  const { readAt, placeOf, api } = options;
  const documents: ProjectFile[] = [];
  const functions: { slug: string; files: readonly ProjectFile[] }[] = [];
  const save = async (
    name: string,
    path: readonly string[],
    bytes: Bytes,
  ): Promise<ProjectFile> => {
    const saved = await writer.saveFile(path, bytes, { kind: "file", modifiedAt: readAt });
    return { name, path: path.join("/"), sizeBytes: saved.sizeBytes, sha256: saved.sha256 };
  };
  const { ref, absent, notGiven, issues } = await readProject(api, options, {
    document: async (name, text) => {
      documents.push(await save(name, ["project", `${name}.json`], Buffer.from(text)));
    },
    functionFiles: async (slug, sources) => {
      const taken = new Set<string>();
      const files: ProjectFile[] = [];
      for (const { path, bytes } of sources) {
        const placed = placeFile(path, taken);
        taken.add(placed.join("/"));
        files.push(await save(path, ["project", "functions", slug, ...placed], bytes));
      }
      functions.push({ slug, files });
    },
  });
  const placed = notGiven.map((one) => {
    const place = placeOf(one.name);
    return place === undefined ? one : { ...one, place };
  });
  return {
    project: {
      ref,
      readAt: readAt.toISOString(),
      api: PROJECT_API,
      documents,
      functions,
      absent,
      notGiven: placed,
    },
    issues,
  };
}
