import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { startCluster } from "../cluster.ts";
import type { Cluster } from "../cluster.ts";

/** A database as Supabase's platform lays it out for a new project; what stands in for what, layout.sql says. */
export interface SupabaseProject extends AsyncDisposable {
  readonly cluster: Cluster;
  /** Of `postgres`, who is all that a customer has, and no superuser. */
  readonly url: string;
  /** As `postgres`. */
  query<Row extends Record<string, unknown>>(sql: string): Promise<Row[]>;
  /** As the platform's superuser. */
  psql(script: string): Promise<string>;
}

const CRON_SETTINGS = {
  shared_preload_libraries: "pg_cron",
  "cron.database_name": "postgres",
  "cron.use_background_workers": "on",
};

/** The table is the platform's; the customer reads it, and works by the functions. */
const CRON = `
CREATE EXTENSION pg_cron WITH SCHEMA pg_catalog;
GRANT USAGE ON SCHEMA cron TO postgres WITH GRANT OPTION;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cron TO postgres WITH GRANT OPTION;
REVOKE ALL ON cron.job FROM postgres;
GRANT SELECT ON cron.job TO postgres WITH GRANT OPTION;`;

const PASSWORD = "of the platform";

/** `cron`: with pg_cron, the real one, switched on as in the dashboard. */
export async function startSupabaseProject(
  options: { readonly cron?: true } = {},
): Promise<SupabaseProject> {
  const cluster = await startCluster({
    superuser: "supabase_admin",
    // Of each project another, and in no database: what a file outside of it is to the real one.
    settings: {
      "stand_in.vault_root_key": randomBytes(32).toString("hex"),
      ...(options.cron === undefined ? {} : CRON_SETTINGS),
    },
  });
  try {
    const layout = await readFile(join(import.meta.dirname, "layout.sql"), "utf8");
    await cluster.psql(`\\set password '${PASSWORD}'\n${layout}`, "postgres");
    if (options.cron !== undefined) await cluster.psql(CRON, "postgres");
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
  const role = { name: "postgres", password: PASSWORD };
  return {
    cluster,
    url: cluster.url("postgres", role),
    query: (sql) => cluster.query(sql, { database: "postgres", role }),
    psql: (script) => cluster.psql(script, "postgres"),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}

/** With the application in it. */
export async function fillProject(project: SupabaseProject): Promise<void> {
  const app = await readFile(join(import.meta.dirname, "app.sql"), "utf8");
  await project.psql(`SET SESSION AUTHORIZATION postgres;\n${app}`);
}
