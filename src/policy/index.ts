/**
 * The strategy as data: one file says what is protected, where its recovery points go and how. Pure: text in, policy or
 * problems out.
 *
 * 1. YAML to a document that knows the place of every node; syntax problems stop here.
 * 2. The document's plain value through the schema: unknown keys, missing keys, wrong values.
 * 3. Names that plans use must be defined; schemes that nothing carries out are refused.
 * 4. Relative paths are taken from the folder of the file.
 */
export { policyError } from "./errors.ts";
export { parsePolicy } from "./parse.ts";
export type { PolicyText } from "./parse.ts";
export { passwordProblem } from "./connection-text.ts";
export { nearest } from "./nearest.ts";
export {
  destinationNamed,
  dumpPlanNamed,
  filesDestinationNamed,
  planNamed,
  pointPlanNamed,
  repositoryNames,
  repositoryOnlyPolicy,
  sourceNamed,
  targetNamed,
} from "./select.ts";
export type { Named } from "./select.ts";
export type { GitTarget } from "./git-target.ts";
export type { Guards, GuardOff, GuardShare, GuardSwitch } from "./guards.ts";
export type {
  Capture,
  CaptureTables,
  Credentials,
  Destination,
  DumpPlan,
  Encryption,
  PointPlan,
  FilesDestination,
  KeepRules,
  Plan,
  Policy,
  ProviderPolicy,
  RepositoryDestination,
  Source,
  Target,
  TlsPolicy,
} from "./policy.ts";
export type { ConnectionReference, SecretReference } from "./reference.ts";
export { dumpName, dumpNamePattern } from "./dump-name.ts";
export { addSpan } from "./add-span.ts";
export { parseSpan } from "./duration.ts";
export type { CalendarSpan } from "./duration.ts";
export { parseTableName, tableNameText } from "./table-name.ts";
export type { TableName } from "./table-name.ts";
export { parseMoment } from "./moment.ts";
export type { ParsedMoment } from "./moment.ts";
