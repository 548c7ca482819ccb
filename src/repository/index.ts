/** The restic repository format, version 2, over any object store. */
export type * from "./types.ts";
