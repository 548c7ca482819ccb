/** What was decided, plain and printable. */

export interface KeptPoint {
  readonly id: string;
  readonly time: string;
  readonly plan?: string;
  readonly tags: readonly string[];
  /** Why, at least one. */
  readonly reasons: readonly string[];
}

export interface ForgottenPoint {
  readonly id: string;
  readonly time: string;
  readonly plan: string;
  readonly tags: readonly string[];
}

export interface PlanDecision {
  readonly plan: string;
  /** The guards that stop it; empty where its rules were carried out. */
  readonly stoppedBecause: readonly string[];
  /** Why it has no rules, where it has none. */
  readonly noRules?: string;
  readonly kept: number;
  readonly forgotten: number;
}

/** A point that the rules would forget and an Object Lock holds. */
export interface LockedPoint {
  readonly id: string;
  readonly plan: string;
  readonly lockedUntil: string;
}

export interface ForgetDecision {
  /** Why nothing at all is forgotten. */
  readonly stoppedBecause: readonly string[];
  /** By name. */
  readonly plans: readonly PlanDecision[];
  /** Newest first, as all of these. */
  readonly keep: readonly KeptPoint[];
  readonly forget: readonly ForgottenPoint[];
  readonly locked: readonly LockedPoint[];
}
