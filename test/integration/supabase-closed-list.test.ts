import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startSupabaseProject } from "../support/supabase/project.ts";
import type { SupabaseProject } from "../support/supabase/project.ts";

const PAGE = join(import.meta.dirname, "../../docs/spec/supabase.md");

/** What a customer of the platform, who is `postgres`, cannot do: the page's list, and the server's refusal. */
const IMPOSSIBLE: readonly (readonly [string, string])[] = [
  ["rows of `vault.secrets`", "INSERT INTO vault.secrets (secret) VALUES ('x')"],
  ["rows of `auth.schema_migrations`", "INSERT INTO auth.schema_migrations VALUES ('1')"],
  ["rows of `storage.migrations`", "DELETE FROM storage.migrations"],
  ["rows of `realtime.*`", "INSERT INTO realtime.schema_migrations VALUES (1)"],
  [
    "default privileges of the platform's roles",
    "ALTER DEFAULT PRIVILEGES FOR ROLE supabase_admin IN SCHEMA public GRANT SELECT ON TABLES TO anon",
  ],
  ["grants that `supabase_admin` gave", "SET ROLE supabase_admin"],
  [
    "objects that belong to `supabase_admin`",
    "CREATE TABLE public.mine (); ALTER TABLE public.mine OWNER TO supabase_admin",
  ],
  ["settings of `supabase_admin`", "ALTER ROLE supabase_admin SET work_mem = '1MB'"],
  ["roles with SUPERUSER", "CREATE ROLE more SUPERUSER"],
  ["roles with REPLICATION", "CREATE ROLE more REPLICATION"],
  [
    "event triggers",
    "CREATE EVENT TRIGGER more ON ddl_command_end EXECUTE FUNCTION extensions.pgrst_ddl_watch()",
  ],
];

describe("what belongs to the platform", () => {
  let project: SupabaseProject;

  beforeAll(async () => {
    project = await startSupabaseProject();
    // The stand-in for supautils lends more than the platform does: recent projects have no such membership.
    await project.psql("REVOKE supabase_storage_admin, supabase_auth_admin FROM postgres");
  });

  afterAll(() => project[Symbol.asyncDispose]());

  test.for(IMPOSSIBLE)("%s: still refused", async ([, sql]) => {
    await expect(project.query(`BEGIN; ${sql}; ROLLBACK`)).rejects.toMatchObject({
      code: "42501",
    });
  });

  test("is the closed list of the page, line by line", () => {
    const lines = readFileSync(PAGE, "utf8").split("\n");
    const from = lines.indexOf("| what stays the project's | consequence |");
    const rows = lines.slice(from + 2);
    const end = rows.findIndex((line) => !line.startsWith("|"));
    const named = rows.slice(0, end).map((line) => line.split("|")[1]?.trim());
    expect(named).toEqual(IMPOSSIBLE.map(([name]) => name));
  });
});
