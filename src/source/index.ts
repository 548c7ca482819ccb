/** What is protected, each kind read into an open snapshot. */
export type * from "./database/types.ts";
export { sourceError } from "./errors.ts";
export { captureDump } from "./dump/capture-dump.ts";
export type { CapturedDump, CaptureDumpOptions } from "./dump/capture-dump.ts";
export { captureDatabase } from "./database/capture.ts";
