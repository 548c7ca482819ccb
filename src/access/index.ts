/**
 * The audit chain: records of every access, each naming the hash of the one before. Builds and checks; `operation`
 * writes (docs/spec/audit.md).
 *
 * 1. The writer reads the head, builds the next record, appends and syncs it, and notes the new head.
 * 2. A checker walks the log from the first record and compares each with the one before and the last with the head.
 */
export { accessError } from "./errors.ts";
export { checkChain } from "./chain.ts";
export type { ChainFault, ChainFinding, ChainReport } from "./chain.ts";
export { readTail } from "./tail.ts";
export type { LogTail } from "./tail.ts";
export {
  AUDIT_VERSION,
  EMPTY_HEAD,
  GENESIS,
  canonicalJson,
  formatRecord,
  nextRecord,
  parseRecord,
  tornTail,
} from "./record.ts";
export type { Access, AccessAction, AuditRecord, ChainHead, TornTail } from "./record.ts";
