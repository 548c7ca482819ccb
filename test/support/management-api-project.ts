import { AUTH_FIELDS } from "./management-api-description.ts";

/** What the stand-in holds of one project; tests change it as they need. */
export interface ProjectState {
  readonly ref: string;
  readonly project: Record<string, unknown>;
  /** One for each time the project is asked for; the last one stays. */
  statuses: string[];
  /** By path below the project. A number is a status in place of an answer. */
  readonly answers: Record<string, unknown>;
  readonly sources: Record<
    string,
    readonly { readonly path?: string; readonly text: string; readonly header?: true }[]
  >;
  /** Settings and secrets that a change takes without an error, and does not keep. */
  ignored: readonly string[];
  /** Permissions that the token lacks. */
  denied: readonly string[];
  readonly restoresAsked: number[];
}

export const SECRETS = {
  smtp: "smtp-plain-password-4711",
  google: "google-client-secret-0815",
  jwt: "super-secret-jwt-token-with-at-least-32-characters",
  hook: "v1,whsec_dGhpcyBpcyBhIHNlY3JldA==",
  stripe: "9b74c9897bac770ffc029102a200c5de9b74c9897bac770ffc029102a200c5de",
} as const;

/** A plain, healthy project on the Pro plan with daily backups. */
export function plainProject(ref: string): ProjectState {
  const auth = Object.fromEntries(
    Object.entries(AUTH_FIELDS).map(([name, schema]) => [
      name,
      schema.nullable === true ? null : schema.type === "boolean" ? false : 60,
    ]),
  );
  return {
    ref,
    project: {
      id: ref,
      ref,
      organization_id: "acme",
      organization_slug: "acme",
      name: "shop",
      region: "eu-central-1",
      created_at: "2025-03-01T10:00:00.000Z",
      database: {
        host: `db.${ref}.supabase.co`,
        version: "15.8.1.085",
        postgres_engine: "15",
        release_channel: "ga",
      },
    },
    statuses: ["ACTIVE_HEALTHY"],
    answers: {
      "/database/backups": {
        region: "eu-central-1",
        walg_enabled: true,
        pitr_enabled: false,
        backups: [],
        physical_backup_data: {},
      },
      "/config/auth": {
        ...auth,
        site_url: "https://shop.example",
        smtp_host: "mail.example",
        smtp_user: "shop",
        smtp_pass: SECRETS.smtp,
        external_google_enabled: true,
        external_google_client_id: "42.apps",
        external_google_secret: SECRETS.google,
        hook_send_email_uri: "https://hooks.example/mail",
        jwt_exp: 3600,
        hook_send_email_secrets: SECRETS.hook,
      },
      "/config/auth/sso/providers": 404,
      "/config/auth/third-party-auth": [],
      "/config/auth/signing-keys": { keys: [] },
      "/postgrest": {
        db_schema: "public",
        max_rows: 1000,
        db_extra_search_path: "public",
        db_pool: null,
        jwt_secret: SECRETS.jwt,
      },
      "/config/storage": {
        fileSizeLimit: 52_428_800,
        features: {
          imageTransformation: { enabled: true },
          s3Protocol: { enabled: true },
          icebergCatalog: { enabled: false, maxNamespaces: 0, maxTables: 0, maxCatalogs: 0 },
          vectorBuckets: { enabled: false, maxBuckets: 0, maxIndexes: 0 },
        },
        capabilities: { list_v2: true, iceberg_catalog: false },
        external: { upstreamTarget: "main" },
        migrationVersion: "0031",
        databasePoolMode: "single_use",
      },
      "/config/realtime": {
        private_only: false,
        suspend: false,
        connection_pool: 5,
        max_concurrent_users: 200,
        max_events_per_second: 100,
        max_bytes_per_second: 100_000,
        presence_enabled: true,
        max_channels_per_client: 100,
        max_joins_per_second: 100,
        max_presence_events_per_second: 100,
        max_payload_size_in_kb: 100,
      },
      "/config/database/postgres": { statement_timeout: "120000", max_connections: 60 },
      "/config/database/pooler": [
        {
          identifier: ref,
          database_type: "PRIMARY",
          is_using_scram_auth: true,
          db_user: `postgres.${ref}`,
          db_host: "aws-0-eu-central-1.pooler.supabase.com",
          db_port: 6543,
          db_name: "postgres",
          default_pool_size: 15,
          max_client_conn: 200,
          connection_string: `postgresql://postgres.${ref}:[YOUR-PASSWORD]@pooler:6543/postgres`,
          connectionString: `postgresql://postgres.${ref}:[YOUR-PASSWORD]@pooler:6543/postgres`,
          pool_mode: "transaction",
        },
      ],
      "/config/disk": {
        attributes: { iops: 3000, size_gb: 8, type: "gp3", throughput_mibps: 125 },
      },
      "/ssl-enforcement": { currentConfig: { database: true }, appliedSuccessfully: true },
      "/network-restrictions": {
        entitlement: "allowed",
        status: "applied",
        applied_at: "2026-01-01T00:00:00Z",
        config: { dbAllowedCidrs: ["203.0.113.0/24"], dbAllowedCidrsV6: [] },
      },
      "/custom-hostname": 404,
      "/vanity-subdomain": { status: "not-used" },
      "/billing/addons": {
        selected_addons: [
          {
            type: "compute_instance",
            variant: { id: "ci_small", name: "Small", price: { amount: 0.0206 } },
          },
        ],
        available_addons: [],
      },
      "/v1/organizations/{slug}": {
        id: "acme",
        name: "Acme",
        plan: "pro",
        opt_in_tags: [],
        allowed_release_channels: ["ga"],
      },
      "/functions": [
        {
          id: "f-1",
          slug: "hello",
          name: "Hello",
          status: "ACTIVE",
          version: 3,
          created_at: 1_740_000_000_000,
          updated_at: 1_750_000_000_000,
          verify_jwt: true,
          entrypoint_path: "file:///tmp/x/source/index.ts",
        },
      ],
      "/secrets": [
        { name: "STRIPE_KEY", value: SECRETS.stripe },
        { name: "SUPABASE_URL", value: SECRETS.stripe.replaceAll("9", "1") },
      ],
    },
    sources: {
      hello: [
        { text: "{}" },
        { path: "source/index.ts", text: 'Deno.serve(() => new Response("hi"));\r\n' },
        { path: "../_shared/cors.ts", text: "export const cors = {};\n", header: true },
      ],
    },
    ignored: [],
    denied: [],
    restoresAsked: [],
  };
}
