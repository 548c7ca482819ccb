/** The way back: plan, execute, verify. */
export type * from "./types.ts";
export { restoreError } from "./errors.ts";
export type { ArchiveToc, TocEntry } from "./archive/toc.ts";
export { parseArchiveToc } from "./archive/toc.ts";
export { planRestore } from "./plan.ts";
export { planRelease } from "./release/plan.ts";
export { ITEM_KINDS } from "./release/types.ts";
export type {
  ItemKind,
  ListedItem,
  ReleaseOptions,
  ReleasePlan,
  ReleaseResult,
} from "./release/types.ts";
export { functionsOf } from "./project/plan-functions.ts";
export { planProject, requestBody, sameValue, secretNeeds } from "./project/plan-project.ts";
export type {
  PlannedRequest,
  PlannedSetting,
  ProjectPlan,
  ProjectSide,
  SecretNeed,
  SecretState,
} from "./project/types.ts";
export { planPartialRestore } from "./partial/plan-partial.ts";
export type * from "./partial/types.ts";
