/** What a snapshot says that it contains: formats and the keyed row hash. Pure; where source and restore meet. */
export * from "./platform.ts";
export * from "./manifest.ts";
export type { ProjectFile, ProjectManifest } from "./project.ts";
export * from "./row-hash.ts";
export * from "./vault.ts";
export * from "./dump-manifest.ts";
export { manifestError } from "./errors.ts";
export { formatManifest, parseManifest } from "./manifest-format.ts";
export { isOfCron, jobTableOf } from "./cron.ts";
export { REACHING_EXTENSIONS } from "./reaching.ts";
export { addHashes } from "./add-hashes.ts";
export { partPath, storedExportPath } from "./part-path.ts";
export { renderRecoveryFiles } from "./recovery.ts";
export type { RecoveryFile, RecoveryOptions } from "./recovery.ts";
export { createCopyTextReader } from "./export/copy-text.ts";
export { createTableConverter, slicesOf } from "./export/convert.ts";
export type { ConvertedTable, TableConverter, TableFormat } from "./export/convert.ts";
export { SQL_TAIL, sqlHead } from "./export/sql.ts";
