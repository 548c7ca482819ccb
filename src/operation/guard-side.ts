import type { AppError } from "../kernel/index.ts";
import type { BackupResult } from "./backup.ts";

/** One side of a migration: a run of the plan, or what ended it. */
export type GuardedSide =
  | { readonly kind: "run"; readonly result: BackupResult }
  | { readonly kind: "error"; readonly error: AppError };

/** Whole, and committed where the plan says so. */
export function isKept(side: GuardedSide): boolean {
  return side.kind === "run" && side.result.outcome === "complete";
}
