/*
 * effects
 *   reads         snapshot files and proofs of every plan's destination and of its copies, Object Locks of what the newest good points need, manifests of portable dumps; of a Supabase project with a token its configuration, and its provider's backups
 *   writes        audit records
 *   locks         none
 *   leaves behind nothing
 *   exit codes    0; 21 a plan or a provider misses something; 3 something could not be read; 130
 */
import { destinationNamed, planNamed, sourceNamed } from "../policy/index.ts";
import type { CalendarSpan, Policy } from "../policy/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OnProgress, OperationContext } from "./context.ts";
import { managementOf } from "./management.ts";
import { compareWithNewest } from "./project-diff.ts";
import { watchProviders } from "./provider.ts";
import { judgePlan, overallOutcome } from "./status/judge.ts";
import { known, readDestination, troubleOf } from "./status/read-destination.ts";
import type { ReadDestination } from "./status/read-destination.ts";
import { readDumpPlan, readPointPlan } from "./status/read-plan.ts";
import type { ReadOnce } from "./status/read-plan.ts";
import type {
  Known,
  PlanFacts,
  PlanStatus,
  ProjectStatus,
  ProviderStatus,
  Status,
} from "./status/types.ts";

export interface StatusOptions {
  readonly policy: Policy;
  /** Only this plan, and what belongs to its source. */
  readonly plan?: string;
  /** How old the newest good point of each plan may be. */
  readonly within?: CalendarSpan;
  readonly onProgress?: OnProgress;
}

export async function readStatus(
  context: OperationContext,
  options: StatusOptions,
): Promise<Status> {
  const { policy, within, onProgress } = options;
  const names =
    options.plan === undefined ? Object.keys(policy.plans) : [planNamed(policy, options.plan).name];
  await recordAccess(context, policy, "status", { plans: names.join(" ") });
  const now = context.clock.now();
  const timezone = policy.timezone ?? "UTC";
  const judge = { now, timezone, ...(within === undefined ? {} : { within }) };
  const read = readOnce(context, policy);
  const plans: PlanStatus[] = [];
  for (const name of names) {
    onProgress?.({ step: "plans", doneBytes: 0, totalBytes: 0, current: name });
    plans.push(judgePlan(await factsOf(context, policy, name, read), judge));
  }
  const sources = [...new Set(plans.map(({ source }) => source))];
  const projects = await projectsOf(context, options, plans, read);
  const providers = await providersOf(context, policy, sources);
  return {
    outcome: overallOutcome(plans, projects, providers),
    at: now.toISOString(),
    plans,
    projects,
    providers,
  };
}

function readOnce(context: OperationContext, policy: Policy): ReadOnce {
  const reading = new Map<string, Promise<Known<ReadDestination>>>();
  return (name) => {
    const begun =
      reading.get(name) ??
      known(context.signal, () => readDestination(context, destinationNamed(policy, name)));
    reading.set(name, begun);
    return begun;
  };
}

async function factsOf(
  context: OperationContext,
  policy: Policy,
  name: string,
  read: ReadOnce,
): Promise<PlanFacts> {
  const plan = planNamed(policy, name);
  if (plan.capture === "pg_dump") return readDumpPlan(context, policy, plan);
  return readPointPlan(context, policy, plan, read);
}

/** Each Supabase project that a plan captures whole, against the newest configuration in that plan's repository. */
async function projectsOf(
  context: OperationContext,
  { policy, onProgress }: StatusOptions,
  plans: readonly PlanStatus[],
  read: ReadOnce,
): Promise<readonly ProjectStatus[]> {
  const found: ProjectStatus[] = [];
  const seen = new Set<string>();
  for (const { source: name, destination, captures } of plans) {
    const source = sourceNamed(policy, name);
    if (captures !== "everything" || source.kind !== "supabase" || seen.has(name)) continue;
    seen.add(name);
    if (source.management_token === undefined) {
      const notCompared = "the source has no management_token";
      found.push({ source: name, notCompared, failed: false });
      continue;
    }
    const opened = await read(destination);
    if ("unknown" in opened) {
      found.push({ source: name, notCompared: opened.unknown, failed: true });
      continue;
    }
    try {
      const api = await managementOf(context, source);
      const { repository } = opened.known;
      const compared = await compareWithNewest(
        context,
        { source: name, api, repository },
        onProgress,
      );
      found.push({ source: name, compared });
    } catch (thrown) {
      const notCompared = troubleOf(thrown, context.signal);
      found.push({ source: name, notCompared, failed: true });
    }
  }
  return found;
}

async function providersOf(
  context: OperationContext,
  policy: Policy,
  sources: readonly string[],
): Promise<readonly ProviderStatus[]> {
  const found: ProviderStatus[] = [];
  for (const source of Object.keys(policy.provider ?? {})) {
    if (!sources.includes(source)) continue;
    try {
      const { providers } = await watchProviders(context, { policy, source });
      found.push(...providers.map((watched) => ({ source, watched })));
    } catch (thrown) {
      found.push({ source, notWatched: troubleOf(thrown, context.signal) });
    }
  }
  return found;
}
