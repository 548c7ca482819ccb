/**
 * Proof by bringing back: into a throwaway target, counted, and taken away again. Writes nowhere else.
 *
 * 1. the target is made for the drill, by a user of the system that can read neither keys nor configuration
 * 2. what comes from a backup is built by an ordinary role (engine-traps 23)
 * 3. what came back is counted against what the source said when it was taken
 * 4. target and data are gone when it ends, well or badly
 */
export { drillError } from "./errors.ts";
export { restoreDump } from "./restore-dump.ts";
export type { RestoredDump, RestoredTable, RestoreDumpOptions } from "./restore-dump.ts";
export { ordinaryUser, serverUser } from "./server-user.ts";
export type { ServerUser } from "./server-user.ts";
