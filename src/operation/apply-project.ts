/*
 * effects
 *   reads         the configuration in a snapshot; the target project's, through the Management API, before and after; places under `outside` of secrets that are to be set
 *   writes        audit records; of the target project: its settings, its Edge Functions and their secrets
 *   locks         none
 *   leaves behind the settings that could be put; nothing of the project is removed but values of settings
 *   exit codes    0 read back as planned; 1 out of reach; 2 refused or not confirmed; 3 something differs still; 10 no repository; 12 wrong password; 20 damaged; 130
 */
import { kernelError, throwIfAborted } from "../kernel/index.ts";
import type { AppError, Bytes } from "../kernel/index.ts";
import { destinationNamed } from "../policy/index.ts";
import type { Named, Policy, Source } from "../policy/index.ts";
import { outcomeOf } from "../repository/index.ts";
import type { SnapshotReader } from "../repository/index.ts";
import { planProject, sameValue, secretNeeds } from "../restore/index.ts";
import type { PlannedSetting, ProjectPlan } from "../restore/index.ts";
import type { ManagementApi, ProjectStatus } from "../supabase/index.ts";
import { applyRequests } from "./apply-requests.ts";
import type { AppliedRequest } from "./apply-requests.ts";
import { secretsFor } from "./apply-secrets.ts";
import type { FoundSecrets } from "./apply-secrets.ts";
import { applyTarget } from "./apply-target.ts";
import { recordAccess } from "./audit-log.ts";
import type { OnProgress, OperationContext } from "./context.ts";
import { operationError } from "./errors.ts";
import { managementOf } from "./management.ts";
import { openDestination } from "./open.ts";
import { placeOf } from "./outside.ts";
import { liveSettings, newestProjectPoint, projectOf, storedSettings } from "./project-state.ts";
import type { CapturedSettings, PointOfProject } from "./project-state.ts";
import { ROW_HASH_LABEL } from "./row-hash-label.ts";

export interface ApplyProjectOptions {
  readonly policy: Policy;
  readonly destination?: string;
  /** An id, or `latest`: the newest that holds a configuration. */
  readonly snapshot: string;
  /** A target of the policy, or with `sameProject` the source that the snapshot is of. */
  readonly to: string;
  readonly sameProject?: boolean;
  readonly onProgress?: OnProgress;
}

export interface HandedOver {
  readonly name: string;
  readonly what: string;
  /** Where the policy says that it is kept. */
  readonly place?: string;
}

export interface ProjectApplyPreview extends ProjectPlan {
  readonly snapshot: string;
  /** When the point's configuration was read, and of which project. */
  readonly readAt: string;
  readonly from: string;
  readonly to: { readonly name: string; readonly project: string };
  /** What no request gives a project; asked of whoever does the rest. */
  readonly byHand: readonly HandedOver[];
  readonly notes: readonly string[];
}

export interface AppliedProject {
  /** `complete`: all that the snapshot holds was read back from the project. */
  readonly outcome: "complete" | "incomplete";
  readonly requests: readonly AppliedRequest[];
  /** What differs still, by a plan made anew from what was read back. */
  readonly left: readonly PlannedSetting[];
  /** Parts that could not be read back. */
  readonly unread: readonly string[];
}

export interface PlannedProjectApply {
  readonly preview: ProjectApplyPreview;
  /** Once. */
  execute(): Promise<AppliedProject>;
}

/** A service may take a moment to show what it was given. */
const READ_BACK_WAITS_MS = [0, 2_000, 5_000];

interface Work {
  readonly point: PointOfProject;
  readonly reader: SnapshotReader;
  readonly stored: CapturedSettings;
  readonly api: ManagementApi;
  readonly sealKey: Bytes;
  readonly target: Named<Source>;
}

export async function planProjectApply(
  context: OperationContext,
  options: ApplyProjectOptions,
): Promise<PlannedProjectApply> {
  const { policy, to } = options;
  const destination = destinationNamed(policy, options.destination);
  const subject = { snapshot: options.snapshot, destination: destination.name, to };
  await recordAccess(context, policy, "project", { step: "plan", ...subject });
  const { signal } = context;
  const repository = await openDestination(context, destination);
  const reader = await repository.acquireReader({ signal });
  const point =
    options.snapshot === "latest"
      ? await newestProjectPoint(repository, reader, undefined, signal)
      : await pointNamed(
          reader,
          await repository.resolveSnapshot(options.snapshot, { signal }),
          signal,
        );
  const { sameProject = false } = options;
  const target = applyTarget(policy, { to, sameProject, ownRef: point.project.ref });
  const work: Work = {
    point,
    reader,
    stored: await storedSettings(reader, point, signal),
    api: await managementOf(context, target, "target"),
    sealKey: repository.deriveKey(ROW_HASH_LABEL),
    target,
  };
  const { status } = await work.api.project();
  const first = await planNow(context, options, work);
  let spent = false;
  return {
    preview: previewOf(policy, work, first, status),
    execute: async () => {
      if (spent)
        throw operationError("project_plan_outdated", { message: "a plan that ran already" });
      spent = true;
      const requests = first.plan.requests.map(({ service }) => service).join(" ");
      await recordAccess(context, policy, "project", { step: "apply", ...subject, requests });
      try {
        return await execute(context, options, work, first.plan);
      } catch (thrown) {
        throw context.signal.aborted ? interrupted(work, thrown) : thrown;
      }
    },
  };
}

function interrupted({ api }: Work, cause: unknown): AppError {
  return kernelError("cancelled", {
    message: `cancelled while project ${api.ref} was changed`,
    hint: "What was set stays, and this does not undo it: run it again, and its plan shows what is left.",
    cause,
  });
}

async function pointNamed(
  reader: SnapshotReader,
  snapshot: PointOfProject["snapshot"],
  signal: AbortSignal,
): Promise<PointOfProject> {
  const project = await projectOf(reader, snapshot, signal);
  if (project !== undefined) return { snapshot, project };
  throw operationError("no_project_point", {
    message: `snapshot ${snapshot.id.slice(0, 8)}, which holds no project's configuration`,
    subject: { snapshot: snapshot.id },
  });
}

interface PlannedNow {
  readonly plan: ProjectPlan;
  readonly secrets: FoundSecrets;
  readonly live: CapturedSettings;
  readonly unread: readonly string[];
}

async function planNow(
  context: OperationContext,
  { policy, onProgress }: ApplyProjectOptions,
  { stored, api, sealKey }: Work,
): Promise<PlannedNow> {
  const { signal } = context;
  const { settings: live, issues } = await liveSettings(api, { sealKey, signal, onProgress });
  const secrets = await secretsFor(context, policy, secretNeeds(stored, live), sealKey);
  return {
    plan: planProject(stored, live, secrets.states),
    secrets,
    live,
    unread: issues.map(({ object, message }) => `${object}: ${message}`),
  };
}

async function execute(
  context: OperationContext,
  options: ApplyProjectOptions,
  work: Work,
  shown: ProjectPlan,
): Promise<AppliedProject> {
  const now = await planNow(context, options, work);
  if (!sameValue(now.plan, shown)) {
    throw operationError("project_plan_outdated", {
      message: `project ${work.api.ref} that changed since its plan was shown`,
      subject: { project: work.api.ref },
    });
  }
  const requests = await applyRequests(context, {
    ...work,
    plan: now.plan,
    reveal: now.secrets.reveal,
    onProgress: options.onProgress,
  });
  const after = await readBack(context, options, work, requests);
  const { settings: left } = after.plan;
  const outcome = left.length === 0 && after.unread.length === 0 ? "complete" : "incomplete";
  return { outcome, requests, left, unread: after.unread };
}

/** Again where what was taken is not seen yet: not for long, and never believed. */
async function readBack(
  context: OperationContext,
  options: ApplyProjectOptions,
  work: Work,
  requests: readonly AppliedRequest[],
): Promise<PlannedNow> {
  const taken = new Set(
    requests.flatMap(({ outcome, service }) => (outcome === "taken" ? [service] : [])),
  );
  for (const [i, waitMs] of READ_BACK_WAITS_MS.entries()) {
    if (waitMs > 0) {
      await context.clock.sleep(waitMs, context.signal).catch((reason: unknown) => {
        throwIfAborted(context.signal);
        throw reason;
      });
    }
    const after = await planNow(context, options, work);
    const waits = after.plan.requests.some(({ service }) => taken.has(service));
    if (!waits || i === READ_BACK_WAITS_MS.length - 1) return after;
  }
  throw new RangeError("nothing was read back");
}

function previewOf(
  policy: Policy,
  { point, stored, target, api }: Work,
  { plan, live, unread }: PlannedNow,
  status: ProjectStatus,
): ProjectApplyPreview {
  const { snapshot, project } = point;
  return {
    ...plan,
    snapshot: snapshot.id,
    readAt: project.readAt,
    from: project.ref,
    to: { name: target.name, project: api.ref },
    byHand: project.ref === api.ref ? [] : byHand(policy, point, stored, live),
    notes: [
      ...(status === "ACTIVE_HEALTHY" ? [] : [`the project is ${status}`]),
      ...(outcomeOf(snapshot) === "complete"
        ? []
        : ["the snapshot is of a run that lacks something"]),
      ...unread.map((what) => `cannot be read: ${what}`),
    ],
  };
}

const OF_THE_PROJECT = ["AUTH_SIGNING_KEYS", "DATABASE_PASSWORD", "JWT_SECRET", "VAULT_ROOT_KEY"];

/** What belongs to a project and is no setting. One whose JWT secret is the same already needs none. */
function byHand(
  policy: Policy,
  { project }: PointOfProject,
  stored: CapturedSettings,
  live: CapturedSettings,
): readonly HandedOver[] {
  const [before, now] = [stored, live].map(({ documents }) => jwtSeal(documents.get("postgrest")));
  return project.notGiven.flatMap(({ name, what }) => {
    if (!OF_THE_PROJECT.includes(name)) return [];
    if (name === "JWT_SECRET" && before !== undefined && before === now) return [];
    const place = placeOf(policy, name);
    return [{ name, what, ...(place === undefined ? {} : { place }) }];
  });
}

function jwtSeal(document: unknown): string | undefined {
  if (typeof document !== "object" || document === null || !("jwt_secret" in document))
    return undefined;
  const { jwt_secret: value } = document;
  return typeof value === "object" && value !== null && "sealed" in value
    ? String(value.sealed)
    : undefined;
}
