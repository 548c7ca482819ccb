/** The way back: plan, execute, verify. */
export type * from "./types.ts";
export { restoreError } from "./errors.ts";
export type { ArchiveToc, TocEntry } from "./archive/toc.ts";
export { parseArchiveToc } from "./archive/toc.ts";
export { planRestore } from "./plan.ts";
export { planPartialRestore } from "./partial/plan-partial.ts";
export type * from "./partial/types.ts";
