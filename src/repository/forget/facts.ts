import type { ProofState } from "../proof/proof.ts";
import type { KeepRules } from "./keep.ts";

/**
 * What forgetting is decided on: plain values, gathered by `planForget` and by whoever calls it. `undefined` where a fact is
 * asked for means that it is not known, and stops forgetting; that there is none is said in words of its own.
 */

export interface HoldOnPoint {
  readonly id: string;
  readonly by: string;
  readonly reason: string;
  readonly until?: Date;
}

/** One snapshot. */
export interface PointFact {
  readonly id: string;
  readonly time: Date;
  readonly tags: readonly string[];
  /** `undefined`: another tool's; no rule of a plan touches it. */
  readonly plan: string | undefined;
  readonly outcome: "complete" | "incomplete";
  readonly state: ProofState | undefined;
  /** Those in force. */
  readonly holds: readonly HoldOnPoint[];
  /** Object Lock of it, where it carries one. */
  readonly lockedUntil?: Date;
}

export type ScheduleFact =
  | { readonly kind: "not scheduled" }
  /** A good point that began at `since` or later must be there by `dueAt`. */
  | { readonly kind: "scheduled"; readonly since: Date; readonly dueAt: Date };

export interface PlanFact {
  readonly name: string;
  /** Without rules nothing of the plan is forgotten. */
  readonly keep: KeepRules | undefined;
  readonly schedule: ScheduleFact | undefined;
}

/** A promise to restore any moment since `start`: what it stands on, whichever plans made it. */
export interface WindowFact {
  readonly name: string;
  readonly start: Date;
  /** Ids of the base snapshots of its chain. */
  readonly bases: readonly string[] | undefined;
  /** Ids of the snapshots that hold its segments. */
  readonly segments: readonly string[] | undefined;
}

export interface ForgetFacts {
  readonly now: Date;
  /** The store's clock at the same moment. */
  readonly storeNow: Date | undefined;
  /** Every snapshot of the repository. */
  readonly points: readonly PointFact[];
  /** Every plan that writes here. */
  readonly plans: readonly PlanFact[];
  /** Every promised window that stands on snapshots of this repository. */
  readonly windows: readonly WindowFact[] | undefined;
  /** IANA name; the days, weeks, months and years of the rules are this zone's. */
  readonly timezone: string;
}

export interface ForgetScope {
  /** Only points of this plan. */
  readonly plan?: string;
  /** Only points that carry all tags of one of these lists `a,b`. */
  readonly tags?: readonly string[];
}
