/*
 * effects
 *   reads         the project and its backups, through the Management API; slots and the last write from the database, READ ONLY
 *   writes        audit records; a record of the gap beside each repository of the source's plans; at the source: drops every logical slot; at the provider: asks for the restore, in place
 *   locks         none
 *   leaves behind the restored project; the records of the gap
 *   exit codes    0; 1 refused, failed or out of reach; 2 usage; 3 restored, and the gap is not recorded everywhere; 130 stopped: what was asked of the provider goes on
 */
import { AppError, formatTime, kernelError, throwIfAborted, toHex } from "../kernel/index.ts";
import type { Secret } from "../kernel/index.ts";
import { sourceNamed } from "../policy/index.ts";
import type { Named, Policy, Source } from "../policy/index.ts";
import type { Gap } from "../repository/index.ts";
import {
  dropLogicalSlots,
  listLogicalSlots,
  projectOfConnection,
  readLastWrite,
} from "../source/index.ts";
import type { LastWrite, LogicalSlot } from "../source/index.ts";
import type { ManagementApi, Project, ProviderBackups } from "../supabase/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OnProgress, OperationContext } from "./context.ts";
import { operationError } from "./errors.ts";
import { BEGINS_WITHIN_MS, followRestore } from "./follow-restore.ts";
import { openGapPlaces, recordGap } from "./gap-places.ts";
import type { GapPlaces } from "./gap-places.ts";
import { managementOf } from "./management.ts";
import { connectionUrl } from "./open.ts";

export interface RecoverProviderOptions {
  readonly policy: Policy;
  readonly source: string;
  readonly to: Date;
  readonly onProgress?: OnProgress;
}

export interface ProviderRecoveryPreview {
  readonly source: string;
  readonly project: string;
  readonly name: string;
  readonly region: string;
  readonly to: string;
  readonly window: { readonly earliest: string; readonly latest: string };
  /** Whatever was committed in this time is gone afterwards. */
  readonly lost: { readonly from: string; readonly until: string; readonly lastWrite: string };
  readonly slots: readonly LogicalSlot[];
  /** Why they are not known. */
  readonly slotsUnknown?: string;
  readonly notes: readonly string[];
  readonly gapRecordedIn: readonly string[];
  readonly gapNotRecordedIn: GapPlaces["closed"];
}

export interface ProviderRecovery {
  readonly outcome: "complete" | "incomplete";
  readonly recovery: string;
  readonly askedAt: string;
  readonly endedAt: string;
  readonly durationMs: number;
  readonly slotsDropped: readonly string[];
  readonly gapNotRecordedIn: GapPlaces["closed"];
}

export interface PlannedProviderRecovery {
  readonly preview: ProviderRecoveryPreview;
  /** Once. */
  execute(): Promise<ProviderRecovery>;
}

interface Facts {
  readonly source: Named<Source>;
  readonly api: ManagementApi;
  readonly url: Secret;
  readonly project: Project;
  readonly window: { readonly earliest: Date; readonly latest: Date };
  readonly slots: readonly LogicalSlot[] | { readonly unknown: string };
  readonly lastWrite: LastWrite;
  readonly places: GapPlaces;
  readonly now: Date;
}

export async function planProviderRecovery(
  context: OperationContext,
  options: RecoverProviderOptions,
): Promise<PlannedProviderRecovery> {
  const { policy, to } = options;
  const source = sourceNamed(policy, options.source);
  const subject = { provider: source.name, to: to.toISOString() };
  await recordAccess(context, policy, "recover", { step: "plan", ...subject });
  const facts = await gather(context, options, source);
  const preview = previewOf(facts, to);
  let executed = false;
  return {
    preview,
    execute: async () => {
      if (executed)
        throw operationError("provider_plan_spent", { message: "a plan that ran already" });
      executed = true;
      await recordAccess(context, policy, "recover", { step: "execute", ...subject });
      return execute(context, options, facts);
    },
  };
}

async function gather(
  context: OperationContext,
  { policy, to }: RecoverProviderOptions,
  source: Named<Source>,
): Promise<Facts> {
  const { signal, clock } = context;
  const api = await managementOf(context, source);
  const url = await connectionUrl(context, source.connection);
  const said = projectOfConnection(url);
  if (said !== undefined && said !== api.ref) {
    throw operationError("provider_other_project", {
      message: `connection of source ${source.name} that leads to project ${said}, not ${api.ref}`,
      subject: { source: source.name, project: api.ref },
    });
  }
  const project = await api.project();
  const now = clock.now();
  const window = windowFor(api.ref, project, await api.backups(), to, now);
  return {
    source,
    api,
    url,
    project,
    window,
    slots: await slotsOf(url, signal),
    lastWrite: await readLastWrite({ url, signal }),
    places: await openGapPlaces(context, policy, source.name),
    now,
  };
}

/** What stands in the way before anything is asked. */
function windowFor(
  ref: string,
  { status }: Project,
  { pitr, earliest, latest }: ProviderBackups,
  to: Date,
  now: Date,
): Facts["window"] {
  const subject = { project: ref };
  if (status !== "ACTIVE_HEALTHY" && status !== "ACTIVE_UNHEALTHY") {
    throw operationError("provider_busy", {
      message: `project ${ref} that is ${status}`,
      subject: { ...subject, status },
    });
  }
  if (!pitr || earliest === undefined || latest === undefined) {
    throw operationError("provider_no_window", {
      message: `project ${ref} without point-in-time recovery`,
      subject,
    });
  }
  if (to >= earliest && to <= latest && to < now) return { earliest, latest };
  throw operationError("provider_outside_window", {
    message: `${formatTime(to)}, which is outside of ${formatTime(earliest)} to ${formatTime(latest)}`,
    subject,
  });
}

/** On the bad day the database may be out of reach: the provider says itself what stands in its way then. */
async function slotsOf(url: Secret, signal: AbortSignal): Promise<Facts["slots"]> {
  try {
    return await listLogicalSlots({ url, signal });
  } catch (thrown) {
    throwIfAborted(signal);
    if (!(thrown instanceof AppError) || thrown.kind === "bug") throw thrown;
    return { unknown: thrown.message };
  }
}

function previewOf(facts: Facts, to: Date): ProviderRecoveryPreview {
  const { source, api, project, window, slots, lastWrite, places } = facts;
  const unknown = "unknown" in slots ? slots.unknown : undefined;
  const sure = projectOfConnection(facts.url) !== undefined || unknown !== undefined;
  return {
    source: source.name,
    project: api.ref,
    name: project.name,
    region: project.region,
    to: wholeSecond(to).toISOString(),
    window: { earliest: window.earliest.toISOString(), latest: window.latest.toISOString() },
    lost: {
      from: wholeSecond(to).toISOString(),
      until: lostUntil(facts, to).toISOString(),
      lastWrite: "at" in lastWrite ? lastWrite.from : `not known: ${lastWrite.unknown}`,
    },
    slots: "unknown" in slots ? [] : slots,
    ...(unknown === undefined ? {} : { slotsUnknown: unknown }),
    notes: sure
      ? []
      : [`the connection of ${source.name} does not say that it leads to this project`],
    gapRecordedIn: places.open.map(({ destination }) => destination),
    gapNotRecordedIn: places.closed,
  };
}

/** The API takes seconds; the part below is lost with what follows. */
function wholeSecond(moment: Date): Date {
  return new Date(Math.floor(moment.getTime() / 1000) * 1000);
}

function lostUntil({ lastWrite, now }: Facts, to: Date): Date {
  const until = "at" in lastWrite ? lastWrite.at : now;
  return until > to ? until : to;
}

async function execute(
  context: OperationContext,
  options: RecoverProviderOptions,
  facts: Facts,
): Promise<ProviderRecovery> {
  const { clock, signal } = context;
  const startedMs = clock.monotonicMs();
  await requireUnchanged(context, facts, options.to);
  const gap = beginGap(context, facts, options.to);
  const step = (name: string, current?: string): void =>
    options.onProgress?.({
      step: name,
      doneBytes: 0,
      totalBytes: 0,
      ...(current === undefined ? {} : { current }),
    });
  step("record gap");
  const unrecorded = [...facts.places.closed, ...(await recordGap(facts.places, gap, signal))];
  const dropped: string[] = [];
  const askedAt = clock.now();
  await naming(dropped, signal, async () => {
    step("drop slots");
    await dropLogicalSlots({
      url: facts.url,
      signal,
      clock,
      names: gap.slots,
      onDropped: (name) => {
        dropped.push(name);
        step("drop slots", name);
      },
    });
    step("restore");
    await ask(facts, gap, signal, clock.now());
  });
  await following(facts.source.name, signal, () =>
    followRestore({
      api: facts.api,
      clock,
      signal,
      beginsWithinMs: BEGINS_WITHIN_MS,
      onStatus: (status) => step("follow", status),
    }),
  );
  const ended = { ...gap, state: "ended" as const, at: clock.now() };
  const unended = await recordGap(facts.places, ended, signal);
  return {
    outcome: unrecorded.length + unended.length === 0 ? "complete" : "incomplete",
    recovery: gap.recovery,
    askedAt: askedAt.toISOString(),
    endedAt: ended.at.toISOString(),
    durationMs: clock.monotonicMs() - startedMs,
    slotsDropped: dropped,
    gapNotRecordedIn: [...unrecorded, ...unended],
  };
}

/** Between plan and consent people read, and the world goes on: what was shown must be what is done. */
async function requireUnchanged(context: OperationContext, facts: Facts, to: Date): Promise<void> {
  const { api, url, slots } = facts;
  windowFor(api.ref, await api.project(), await api.backups(), to, context.clock.now());
  const now = await slotsOf(url, context.signal);
  const names = (found: Facts["slots"]): string =>
    "unknown" in found ? "unknown" : found.map(({ name }) => name).join("\n");
  if (names(now) === names(slots)) return;
  throw operationError("provider_plan_stale", {
    message: "logical slots that are others than those in the plan",
    subject: { project: api.ref },
  });
}

function beginGap(context: OperationContext, facts: Facts, to: Date): Gap {
  const { slots, source, api } = facts;
  return {
    recovery: toHex(context.random(8)),
    state: "begun",
    at: context.clock.now(),
    by: context.actor,
    source: source.name,
    project: api.ref,
    from: wholeSecond(to),
    until: lostUntil(facts, to),
    slots: "unknown" in slots ? [] : slots.map(({ name }) => name),
  };
}

/** Asked once. Where the answer got lost only the project's status can tell. */
async function ask(facts: Facts, gap: Gap, signal: AbortSignal, at: Date): Promise<void> {
  try {
    await facts.api.restoreTo(gap.from);
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
    if (thrown.code === "supabase.unavailable" && thrown.subject["status"] !== 429) return;
    if (thrown.kind !== "cancelled")
      await recordGap(facts.places, { ...gap, state: "refused", at }, signal);
    throw thrown;
  }
}

/** An error on the way says what was done before it. */
async function naming(
  dropped: readonly string[],
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    if (!(thrown instanceof AppError) || (dropped.length === 0 && !signal.aborted)) throw thrown;
    const done =
      dropped.length === 0
        ? "no slot was dropped"
        : `these slots were dropped: ${dropped.join(", ")}`;
    const message = `${thrown.message} (${done})`;
    const { subject } = thrown;
    const hint =
      thrown.kind === "cancelled"
        ? "Look at the project's status: where it says RESTORING the provider goes on, and `sparekeep recover --follow` follows it."
        : thrown.hint;
    throw new AppError(thrown.code, thrown.kind, {
      message,
      subject,
      cause: thrown,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

async function following(
  source: string,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
    throw kernelError("cancelled", {
      message: "no longer followed; the restore at the provider goes on, and this does not undo it",
      hint: `Run \`sparekeep recover --provider ${source} --follow\` to follow it on.`,
      cause: thrown,
    });
  }
}

export interface FollowProviderOptions {
  readonly policy: Policy;
  readonly source: string;
  readonly onProgress?: OnProgress;
}

export interface FollowedRecovery {
  readonly source: string;
  readonly project: string;
  readonly endedAt: string;
}

/** A restore that is under way, whoever asked for it. Changes nothing. */
export async function followProviderRecovery(
  context: OperationContext,
  { policy, source: name, onProgress }: FollowProviderOptions,
): Promise<FollowedRecovery> {
  const { clock, signal } = context;
  const source = sourceNamed(policy, name);
  await recordAccess(context, policy, "recover", { step: "follow", provider: source.name });
  const api = await managementOf(context, source);
  await following(source.name, signal, () =>
    followRestore({
      api,
      clock,
      signal,
      beginsWithinMs: 0,
      onStatus: (current) => onProgress?.({ step: "follow", doneBytes: 0, totalBytes: 0, current }),
    }),
  );
  return { source: source.name, project: api.ref, endedAt: clock.now().toISOString() };
}
