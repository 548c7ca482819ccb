import type { ProofState } from "../../repository/index.ts";
import type { ProjectDiff } from "../project-diff.ts";
import type { ProviderLine } from "../provider.ts";

/** Read, or why it could not be: nothing in between, and no default. docs/spec/status.md */
export type Known<Fact> = { readonly known: Fact } | { readonly unknown: string };

export type StatusOutcome = "met" | "missed" | "unknown";

export interface StatusPoint {
  /** Of a snapshot its id, of a portable dump its file. */
  readonly id: string;
  /** When it was begun. */
  readonly time: string;
  readonly outcome: "complete" | "incomplete" | "foreign";
  readonly state: ProofState | "missing" | "damaged";
  /** Of a suspect one: what was found. */
  readonly doubt?: string;
}

/** Object Lock on all that the point needs, as the store answers; `null` where something carries none. */
export type StatusLock = { readonly mode: string; readonly until: string } | null;

export interface StatusCopy {
  readonly destination: string;
  /** Whether it holds the newest good point; the state is the copy's own. */
  readonly holds: Known<{ readonly state: ProofState } | null>;
}

/** What was read of one plan. */
export interface PlanFacts {
  readonly plan: string;
  readonly source: string;
  readonly destination: string;
  readonly captures: "everything" | "schema" | "tables" | "pg_dump";
  readonly points: Known<{
    readonly count: number;
    readonly newest?: StatusPoint;
    /** Complete, and not suspect: what a restore would take. */
    readonly newestGood?: StatusPoint;
    /** Open: neither accepted nor forgotten. Newest first. */
    readonly suspect: readonly StatusPoint[];
    /** False where the store has no room for records: nothing is ever more than `stored` there. */
    readonly records: boolean;
    /** Snapshot files or dumps that cannot be read: of which plan they are, nobody knows. */
    readonly unreadable: readonly string[];
  }>;
  /** Of the newest good point; absent where there is none. */
  readonly lock?: Known<StatusLock>;
  /** Whether the policy promises one. */
  readonly lockExpected: boolean;
  /** Of the newest good point; empty where the policy names none. */
  readonly copies: readonly StatusCopy[];
  /** Tables whose rows the plan leaves to another, with that one's newest good point. */
  readonly leaves: readonly {
    readonly table: string;
    readonly plan: string;
    readonly newestGood: Known<StatusPoint | null>;
  }[];
  /** Guards that the policy switched off, with its reasons. */
  readonly guardsOff: readonly { readonly guard: string; readonly because: string }[];
}

export interface StatusFinding {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

/** One plan judged. `unjudged`: what nothing was promised about, and nobody may take for good. */
export interface PlanStatus extends PlanFacts {
  readonly outcome: StatusOutcome;
  /** Of the newest good point, by this machine's clock. */
  readonly ageMs?: number;
  readonly findings: readonly StatusFinding[];
  readonly unknown: readonly string[];
  readonly unjudged: readonly string[];
}

export type ProjectStatus =
  | { readonly source: string; readonly compared: ProjectDiff }
  /** `failed`: it should have been; otherwise the policy gives no means to. */
  | { readonly source: string; readonly notCompared: string; readonly failed: boolean };

export type ProviderStatus =
  | { readonly source: string; readonly watched: ProviderLine }
  | { readonly source: string; readonly notWatched: string };

export interface Status {
  readonly outcome: StatusOutcome;
  readonly at: string;
  readonly plans: readonly PlanStatus[];
  /** Of each Supabase project that a plan captures whole. */
  readonly projects: readonly ProjectStatus[];
  readonly providers: readonly ProviderStatus[];
}
