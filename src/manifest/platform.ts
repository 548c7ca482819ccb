/**
 * What of a database belongs to the platform that it runs on, and not to its customer: found in every new project, so a
 * restore finds it there, and must neither make nor change it. Facts about Supabase: what was measured on its layout for
 * PostgreSQL 15, and the exclusions of its own `db dump`; docs/spec/platform.md names them.
 */
export type PlatformName = "supabase";

/** Rows that stay where they are: why, and whether a capture takes them along where it may read them. */
export interface NotRestored {
  readonly reason: string;
  readonly captured: boolean;
}

export interface Platform {
  readonly name: PlatformName;
  /** Rows of a table in a schema of the platform: restored into another project or not. `undefined`: no such schema. */
  readonly rowsOf: (schema: string, table: string) => "restored" | NotRestored | undefined;
  readonly isSchema: (schema: string) => boolean;
  /** Found in every project; whose objects are the platform's. */
  readonly isRole: (role: string) => boolean;
  /** Who a customer is. */
  readonly customer: string;
}

const OWN: NotRestored = { reason: "the platform's own; made again by itself", captured: false };
const MIGRATIONS: NotRestored = {
  reason: "the platform's record of its own migrations, of which a project has its own",
  captured: true,
};
const UPLOADS: NotRestored = { reason: "uploads that were under way", captured: false };
const KEYS: NotRestored = { reason: "keys whose root key is not in the database", captured: false };

export const VAULT_REASON =
  "encrypted under a root key that is not in the database: opens elsewhere only with `vault: decrypted` at the source in the policy, or with the root key carried by hand (GET and PUT /v1/projects/REF/pgsodium)";

/** Tables whose rows stay; of `*` all. Rows of the schema's other tables are restored. */
const SCHEMAS: Readonly<Record<string, Readonly<Record<string, NotRestored>>>> = {
  auth: { schema_migrations: MIGRATIONS },
  storage: {
    migrations: MIGRATIONS,
    s3_multipart_uploads: UPLOADS,
    s3_multipart_uploads_parts: UPLOADS,
    prefixes: { reason: "kept by triggers of the platform", captured: false },
    buckets_analytics: OWN,
    buckets_vectors: OWN,
    vector_indexes: OWN,
  },
  cron: {
    job: {
      reason: "jobs run by themselves; they come back by cron.schedule, switched off",
      captured: true,
    },
    job_run_details: { reason: "the log of the platform's scheduler", captured: false },
  },
  vault: {
    secrets: {
      reason: VAULT_REASON,
      captured: true,
    },
  },
  extensions: {},
  graphql: { "*": OWN },
  graphql_public: { "*": OWN },
  net: { "*": { reason: "requests that were under way, and their answers", captured: false } },
  pgbouncer: { "*": OWN },
  pgsodium: { "*": KEYS },
  pgsodium_masks: { "*": OWN },
  pgtle: { "*": OWN },
  realtime: { "*": OWN },
  supabase_functions: { "*": OWN },
  _analytics: { "*": OWN },
  _realtime: { "*": OWN },
  _supavisor: { "*": OWN },
};

const ROLES = new Set([
  "anon",
  "authenticated",
  "authenticator",
  "dashboard_user",
  "pgbouncer",
  "pgsodium_keyholder",
  "pgsodium_keyiduser",
  "pgsodium_keymaker",
  "pgtle_admin",
  "service_role",
]);

const SUPABASE: Platform = {
  name: "supabase",
  isSchema: (schema) => Object.hasOwn(SCHEMAS, schema),
  rowsOf: (schema, table) => {
    if (!Object.hasOwn(SCHEMAS, schema)) return undefined;
    const tables = SCHEMAS[schema] ?? {};
    return tables["*"] ?? (Object.hasOwn(tables, table) ? tables[table] : undefined) ?? "restored";
  },
  isRole: (role) =>
    ROLES.has(role) || role.startsWith("supabase_") || role.startsWith("cli_login_"),
  customer: "postgres",
};

const PLATFORMS: Readonly<Record<PlatformName, Platform>> = { supabase: SUPABASE };

export function platformNamed(name: PlatformName): Platform {
  return PLATFORMS[name];
}
