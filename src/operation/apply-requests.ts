import { AppError, Secret, throwIfAborted } from "../kernel/index.ts";
import type { SnapshotReader } from "../repository/index.ts";
import { functionsOf, requestBody } from "../restore/index.ts";
import type { PlannedRequest, ProjectPlan } from "../restore/index.ts";
import type { ManagementApi, SourceFile } from "../supabase/index.ts";
import type { OnProgress, OperationContext } from "./context.ts";
import { readStored } from "./project-state.ts";
import type { CapturedSettings, PointOfProject } from "./project-state.ts";

/** `taken`: the API answered that it did. What became of it only reading back tells, of a `failed` one too. */
export interface AppliedRequest {
  readonly service: string;
  readonly settings: readonly string[];
  readonly outcome: "taken" | "failed" | "not tried";
  readonly code?: string;
  readonly message?: string;
}

export interface RequestWork {
  readonly api: ManagementApi;
  readonly plan: ProjectPlan;
  readonly stored: CapturedSettings;
  readonly point: PointOfProject;
  readonly reader: SnapshotReader;
  readonly reveal: (name: string) => string;
  readonly onProgress: OnProgress | undefined;
}

/** After these every further request would say the same. */
const HOPELESS = ["supabase.token_refused", "supabase.untrusted"];

/**
 * Each planned request once, in their order. One that is refused does not keep the others from going: what a project's plan
 * does not include is named, and the rest of it is put back. An interruption ends it between two requests.
 */
export async function applyRequests(
  { signal }: OperationContext,
  work: RequestWork,
): Promise<readonly AppliedRequest[]> {
  const done: AppliedRequest[] = [];
  let hopeless = false;
  for (const request of work.plan.requests) {
    throwIfAborted(signal);
    const { service, settings } = request;
    if (hopeless) {
      done.push({ service, settings, outcome: "not tried" });
      continue;
    }
    const current = service === "functions" ? `function ${settings.join(" ")}` : service;
    work.onProgress?.({ step: "apply", doneBytes: 0, totalBytes: 0, current });
    try {
      await send(work, request, signal);
      done.push({ service, settings, outcome: "taken" });
    } catch (thrown) {
      throwIfAborted(signal);
      if (!(thrown instanceof AppError) || !thrown.code.startsWith("supabase.")) throw thrown;
      hopeless = HOPELESS.includes(thrown.code);
      const { code, message } = thrown;
      done.push({ service, settings, outcome: "failed", code, message });
    }
  }
  return done;
}

async function send(
  work: RequestWork,
  request: PlannedRequest,
  signal: AbortSignal,
): Promise<void> {
  const { api, plan, stored, reveal } = work;
  const { service, method, path, permission, settings } = request;
  if (service === "functions") return deploy(work, settings[0] ?? "", signal);
  if (service === "edge-secrets") {
    return api.setEdgeSecrets(settings.map((name) => ({ name, value: new Secret(reveal(name)) })));
  }
  const body = requestBody(request, plan, stored, reveal);
  return api.change({ what: service, method, path, permission, body });
}

async function deploy(
  { api, stored, point, reader }: RequestWork,
  slug: string,
  signal: AbortSignal,
): Promise<void> {
  const shape = functionsOf(stored).get(slug);
  const held = point.project.functions.find((one) => one.slug === slug);
  if (shape?.entrypoint === undefined || held === undefined)
    throw new RangeError(`no function ${slug} to deploy`);
  const files: SourceFile[] = [];
  for (const { name, path } of held.files) {
    // Each blob is compared with its hash; what was deployed of it is compared with the manifest afterwards.
    const bytes = await readStored(reader, point.snapshot, path, signal);
    files.push({ path: name, bytes });
  }
  await api.deployFunction({
    slug,
    name: shape.name,
    entrypointPath: shape.entrypoint,
    ...(typeof shape.importMap === "string" ? { importMapPath: shape.importMap } : {}),
    ...(shape.verifyJwt === null ? {} : { verifyJwt: shape.verifyJwt }),
    files,
  });
}
