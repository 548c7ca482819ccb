/** What a snapshot says that it contains: formats and the keyed row hash. Pure; where source and restore meet. */
export * from "./manifest.ts";
export * from "./row-hash.ts";
export * from "./dump-manifest.ts";
export { manifestError } from "./errors.ts";
export { formatManifest, parseManifest } from "./manifest-format.ts";
export { partPath } from "./part-path.ts";
export { renderRecoveryFiles } from "./recovery.ts";
export type { RecoveryFile, RecoveryOptions } from "./recovery.ts";
