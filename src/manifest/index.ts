/** What a snapshot says that it contains: formats and the keyed row hash. Pure; where source and restore meet. */
export * from "./platform.ts";
export * from "./manifest.ts";
export type { ProjectFile, ProjectManifest } from "./project.ts";
export * from "./row-hash.ts";
export * from "./dump-manifest.ts";
export { manifestError } from "./errors.ts";
export { formatManifest, parseManifest } from "./manifest-format.ts";
export { addHashes } from "./add-hashes.ts";
export { compareFacts, EXISTS } from "./facts/compare-facts.ts";
export type { FactDifference } from "./facts/compare-facts.ts";
export { readFacts } from "./facts/read-facts.ts";
export { parseEffective, sameUnqualified, sameWording } from "./facts/same-wording.ts";
export { partPath, storedExportPath } from "./part-path.ts";
export { renderRecoveryFiles } from "./recovery.ts";
export type { RecoveryFile, RecoveryOptions } from "./recovery.ts";
export { createTableConverter, slicesOf } from "./export/convert.ts";
export type { ConvertedTable, TableConverter, TableFormat } from "./export/convert.ts";
export { SQL_TAIL, sqlHead } from "./export/sql.ts";
