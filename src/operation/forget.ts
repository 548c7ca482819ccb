/*
 * effects
 *   reads         snapshot files, proofs and holds of the repository; the store's clock, from a lock file
 *   writes        audit records; removes snapshot files, after the plan was shown and confirmed
 *   locks         a shared restic lock while it plans, the exclusive one while it removes
 *   leaves behind nothing; interrupted: the rest of the plan is still there, and the repository is whole
 *   exit codes    0; 3 a plan is stopped, or something could not be removed; 2 not confirmed; 10; 11 locked; 12; 20; 130
 */
import { destinationNamed, planNamed } from "../policy/index.ts";
import type { KeepRules, Named, Destination, Policy } from "../policy/index.ts";
import { executeForget, planForget } from "../repository/index.ts";
import type {
  ForgetDecision,
  ForgetQuestion,
  ForgetResult,
  ForgetScope,
} from "../repository/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OperationContext } from "./context.ts";
import { operationError } from "./errors.ts";
import { openDestination } from "./open.ts";
import { ownerOf } from "./owner.ts";
import { hasRoomForRecords } from "./prove.ts";
import { usedConnection } from "./used-connection.ts";
import type { UsedConnection } from "./used-connection.ts";

export interface ForgetOptions {
  readonly policy: Policy;
  readonly destination?: string;
  /** Only this plan. */
  readonly plan?: string;
  /** Only points with all tags of one of these lists `a,b`. */
  readonly tags?: readonly string[];
  /** Instead of a policy's plans, which then must not define any: rules for every plan that a snapshot names. */
  readonly keep?: KeepRules;
  /** With `keep`: also snapshots of other tools, by host and paths. */
  readonly foreign?: boolean;
}

export interface ForgetPreview extends ForgetDecision {
  readonly location: string;
  readonly destination: string;
  readonly plannedAt: string;
  readonly timezone: string;
  /** Guards stop something. */
  readonly stopped: boolean;
}

/** Destructive work in two steps (I7): what is shown is what is executed, once. */
export interface PlannedForget {
  readonly preview: ForgetPreview;
  execute(): Promise<ForgetResult & UsedConnection>;
}

export async function planForgetting(
  context: OperationContext,
  options: ForgetOptions,
): Promise<PlannedForget> {
  const { policy, plan } = options;
  const { signal } = context;
  requireRules(options);
  const named =
    plan === undefined || options.keep !== undefined ? undefined : planNamed(policy, plan);
  const destination = destinationNamed(policy, options.destination ?? named?.to);
  const record = (step: string, counted: Readonly<Record<string, string>> = {}): Promise<void> =>
    recordAccess(context, policy, "forget", {
      step,
      destination: destination.name,
      ...(plan === undefined ? {} : { plan }),
      ...counted,
    });
  await record("plan");
  const repository = await openDestination(context, destination);
  const question = questionOf(options, destination);
  const planned = await planForget(repository, question, ownerOf(context), { signal });
  const { repository: _id, question: _question, ...decision } = planned;
  const { location } = repository;
  return {
    preview: {
      ...decision,
      location,
      destination: destination.name,
      timezone: question.timezone,
      stopped: isStopped(decision),
    },
    execute: async () => {
      const snapshots = planned.forget.map(({ id }) => id.slice(0, 8)).join(" ");
      await record("execute", { count: String(planned.forget.length), snapshots });
      const result = await executeForget(repository, planned, ownerOf(context), { signal });
      return { ...result, ...usedConnection(repository) };
    },
  };
}

function isStopped({ stoppedBecause, plans }: ForgetDecision): boolean {
  return stoppedBecause.length > 0 || plans.some((plan) => plan.stoppedBecause.length > 0);
}

function requireRules({ policy, keep }: ForgetOptions): void {
  const plans = Object.keys(policy.plans).length;
  if (keep === undefined && plans === 0) {
    throw operationError("no_keep_rules", { message: "nothing that says what is kept" });
  }
  if (keep !== undefined && plans > 0) {
    throw operationError("no_keep_rules", {
      message: "keep rules beside those of the policy's plans",
      hint: "Change `keep:` in the policy; rules on the command line are for a repository without one.",
    });
  }
}

/**
 * What the policy knows of the plans that write here: itself, or through a destination of which this one is a copy. It
 * states no times yet at which a plan runs, and promises no windows; both are said, not left out.
 */
function questionOf(options: ForgetOptions, destination: Named<Destination>): ForgetQuestion {
  const { policy, keep, tags, plan } = options;
  const here = Object.entries(policy.plans).filter(
    ([, { to }]) =>
      to === destination.name ||
      policy.destinations[to]?.copies?.includes(destination.name) === true,
  );
  const scope: ForgetScope = {
    ...(plan === undefined ? {} : { plan }),
    ...(tags === undefined ? {} : { tags }),
  };
  return {
    plans: here.map(([name, written]) => ({
      name,
      keep: written.keep,
      schedule: { kind: "not scheduled" },
    })),
    windows: [],
    timezone: policy.timezone ?? "UTC",
    scope,
    records: hasRoomForRecords(destination),
    ...(keep === undefined ? {} : { rest: { keep, foreign: options.foreign === true } }),
  };
}
