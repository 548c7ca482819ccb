/** The way back: plan, execute, verify. */
export type * from "./types.ts";
