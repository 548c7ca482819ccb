import type { Connection } from "./types.ts";

/** Roles and schemas that every project of Supabase has, hosted or self-hosted, and nobody else together. */
const SUPABASE = `
SELECT (SELECT count(*) FROM pg_catalog.pg_roles
         WHERE rolname IN ('supabase_admin', 'authenticator', 'anon', 'authenticated', 'service_role')) = 5
   AND (SELECT count(*) FROM pg_catalog.pg_namespace WHERE nspname IN ('auth', 'storage')) = 2 AS found`;

/** Whose layout the connected database has; `undefined` on a server of one's own. */
export async function readPlatform(connection: Connection): Promise<"supabase" | undefined> {
  const [row] = await connection.query<{ found: boolean }>(SUPABASE);
  return row?.found === true ? "supabase" : undefined;
}
