/**
 * Supabase's Management API, of the published description (docs/spec/project.md). Imports only the kernel.
 *
 * A request:
 * 1. waits where the last answer of its endpoint said that the minute is spent
 * 2. goes with the token to one address, over verified TLS, follows no redirect, and has a deadline
 * 3. its answer is bounded in size, and an error by its status alone: what the server writes is not repeated
 * 4. what may pass is asked again, within patience; what changes something only where it was refused by 429
 * 5. the answer is parsed by hand; what is not understood is refused by its place, never filled in
 */
export { DESCRIPTION_VERSION } from "./address.ts";
export { createManagementApi } from "./client.ts";
export type { ConfigDocument, ManagementApi, ManagementApiOptions } from "./client.ts";
export { supabaseError } from "./errors.ts";
export type {
  BackupStatus,
  EdgeFunction,
  EdgeSecret,
  Project,
  ProjectStatus,
  ProviderBackup,
  ProviderBackups,
  SourceFile,
} from "./types.ts";
export type { ConfigChange, FunctionDeployment, NamedSecret } from "./write.ts";
