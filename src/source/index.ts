/** What is protected, each kind read into an open snapshot. */
export type * from "./database/types.ts";
