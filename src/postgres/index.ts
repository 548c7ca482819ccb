/**
 * Talking to PostgreSQL: sessions, COPY, client programs. Imports only the kernel.
 *
 * A session (`connect`):
 * 1. the connection string is read; nothing comes from the environment, nothing weaker than verify-full leaves the machine
 * 2. the session fixes every setting that changes what text means or which rows are seen, and reads them back
 * 3. a pooler between is found by its key, and refused where it does not keep a session, before anything is set
 * 4. foreign errors are wrapped once (`translate.ts`), an abort sends a real cancel request
 * 5. COPY goes around the driver: rows straight from and to the socket, at the speed of whoever is slower
 */
export type * from "./types.ts";
export { postgresError } from "./errors.ts";
export { connect } from "./connect.ts";
export { clientToolFolders, findClientTools } from "./client-tools.ts";
export { clientProgramText, runClientProgram } from "./client-program.ts";
export type { ClientProgram } from "./client-program.ts";
export { describeTarget, formatTarget, parseTarget, withDatabase, withUser } from "./target.ts";
export type { ConnectionTarget, SslMode } from "./target.ts";
export { proveSession } from "./prove-session.ts";
export type { SessionProof } from "./prove-session.ts";
export { supabaseAddress } from "./supabase-address.ts";
export type { SupabaseAddress } from "./supabase-address.ts";
export { readPlatform } from "./platform.ts";
export { CATALOG_FACTS, EFFECTIVE } from "./catalog/facts.ts";
export { ROWS_AS_BYTES, UNENCODED } from "./raw-encoding.ts";
export { quoteIdentifier, quoteLiteral, quoteQualified } from "./quote.ts";
export { formatLsn, parseLsn } from "./lsn.ts";
export type { Lsn } from "./lsn.ts";
export { cleanText } from "./translate.ts";
