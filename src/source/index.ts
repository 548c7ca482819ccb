/** What is protected, each kind read into an open snapshot. */
export type * from "./database/types.ts";
export { sourceError } from "./errors.ts";
export { displayName } from "./database/issues.ts";
export { captureDump } from "./dump/capture-dump.ts";
export type { CapturedDump, CaptureDumpOptions } from "./dump/capture-dump.ts";
export { captureDatabase } from "./database/capture.ts";
export { readLastWrite } from "./project/last-write.ts";
export type { LastWrite, LastWriteOptions } from "./project/last-write.ts";
export { captureProject } from "./project/capture.ts";
export type { CapturedProject } from "./project/capture.ts";
export { readProject } from "./project/read.ts";
export type { NotGiven, ProjectIssue, ProjectReading } from "./project/read.ts";
export { dropLogicalSlots, listLogicalSlots, projectOfConnection } from "./project/slots.ts";
export type { LogicalSlot } from "./project/slots.ts";
export { createSeal } from "./project/seal.ts";
