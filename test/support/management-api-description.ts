import type { Schema } from "./json-schema.ts";

/**
 * Supabase's Management API as its published description gives it, reduced to the operations that we call: paths, methods,
 * parameters, bodies and answers. Facts only, in our own words and order.
 *
 * Source: OpenAPI 3.0.0 "Supabase API (v1)", version 1.0.0, apps/docs/spec/api_v1_openapi.json of
 * github.com/supabase/supabase at commit 06fd6bce9e0b8786644a0f74e3f84c0f61fcfb7f, read on 2026-11-27; compared for the
 * operations on backups with packages/api/src/generated/openapi.json of github.com/supabase/cli. Rate limits: "Rate limits"
 * of the same repository (apps/docs/content/_partials/api_rate_limits.mdx at 0745a3edad111434b8c0c827cb23c92f4c23ddec).
 * What the description leaves open and clients of the vendor show: a function's body comes as multipart/form-data where
 * that is accepted, one part "metadata", the others files with a path each.
 */
export const DESCRIPTION_VERSION = "1.0.0";

export interface Operation {
  readonly method: "GET" | "POST" | "PATCH" | "PUT";
  readonly path: string;
  readonly permission: string;
  readonly request?: Schema;
  readonly success: 200 | 201 | 204;
  /** Takes a form in place of JSON. */
  readonly multipartRequest?: true;
  readonly query?: Readonly<Record<string, Schema>>;
  /** Absent: the answer has no body. */
  readonly answer?: Schema;
  readonly multipart?: true;
  /** Besides 401, 402, 403, 429 and 5xx. */
  readonly otherStatuses?: readonly number[];
}

export const PARAMETERS: Readonly<Record<string, Schema>> = {
  ref: { type: "string", minLength: 20, maxLength: 20, pattern: "^[a-z]+$" },
  slug: { type: "string", pattern: "^[\\w-]+$" },
  function_slug: { type: "string", pattern: "^[A-Za-z0-9_-]+$" },
};

const text: Schema = { type: "string" };
const flag: Schema = { type: "boolean" };
const whole: Schema = { type: "integer" };
const time: Schema = { type: "string", format: "date-time" };
const words = (...values: readonly string[]): Schema => ({ type: "string", enum: values });
const maybe = (schema: Schema): Schema => ({ ...schema, nullable: true });
const list = (items: Schema): Schema => ({ type: "array", items });
const object = (
  required: Readonly<Record<string, Schema>>,
  optional: Readonly<Record<string, Schema>> = {},
): Schema => ({
  type: "object",
  properties: { ...required, ...optional },
  required: Object.keys(required),
});
const each = (schema: Schema, names: readonly string[]): Record<string, Schema> =>
  Object.fromEntries(names.map((name) => [name, schema]));

const channel = words("internal", "alpha", "beta", "ga", "withdrawn", "preview");

const project = object({
  id: text,
  ref: { type: "string", minLength: 20, maxLength: 20, pattern: "^[a-z]+$" },
  organization_id: text,
  organization_slug: { type: "string", pattern: "^[\\w-]+$" },
  name: text,
  region: text,
  created_at: text,
  status: words(
    "INACTIVE",
    "ACTIVE_HEALTHY",
    "ACTIVE_UNHEALTHY",
    "COMING_UP",
    "UNKNOWN",
    "GOING_DOWN",
    "INIT_FAILED",
    "REMOVED",
    "RESTORING",
    "UPGRADING",
    "PAUSING",
    "RESTORE_FAILED",
    "RESTARTING",
    "PAUSE_FAILED",
    "RESIZING",
  ),
  database: object({ host: text, version: text, postgres_engine: text, release_channel: text }),
});

const backups = object({
  region: text,
  walg_enabled: flag,
  pitr_enabled: flag,
  backups: list(
    object({
      is_physical_backup: flag,
      status: words("COMPLETED", "FAILED", "PENDING", "REMOVED", "ARCHIVED", "CANCELLED"),
      inserted_at: text,
    }),
  ),
  physical_backup_data: object(
    {},
    { earliest_physical_backup_date_unix: whole, latest_physical_backup_date_unix: whole },
  ),
});

const BASE = ["client_id", "secret", "enabled", "email_optional"];
/** Providers of social login with what they have besides the base. */
const PROVIDERS: Readonly<Record<string, readonly string[]>> = {
  apple: ["additional_client_ids"],
  azure: ["url"],
  bitbucket: [],
  discord: [],
  facebook: [],
  figma: [],
  github: [],
  gitlab: ["url"],
  google: ["additional_client_ids", "skip_nonce_check"],
  kakao: [],
  keycloak: ["url"],
  linkedin_oidc: [],
  notion: [],
  slack: [],
  slack_oidc: [],
  spotify: [],
  twitch: [],
  twitter: [],
  x: [],
  zoom: [],
};
const FLAGGED = /_(?:enabled|email_optional|skip_nonce_check)$/;

const providerFields: Record<string, Schema> = Object.fromEntries(
  Object.entries({ ...PROVIDERS, workos: ["url"] })
    .flatMap(([name, more]) =>
      [...BASE.filter((field) => name !== "workos" || field !== "email_optional"), ...more].map(
        (field) => `external_${name}_${field}`,
      ),
    )
    .map((name) => [name, maybe(FLAGGED.test(name) ? flag : text)]),
);

const HOOKS = [
  ["custom_access_token", "mfa_verification_attempt", "password_verification_attempt"],
  ["send_sms", "send_email", "before_user_created", "after_user_created"],
].flat();
const MAILS = [
  ["confirmation", "email_change", "invite", "magic_link", "reauthentication", "recovery"],
].flat();
const NOTICES = [
  ["password_changed", "email_changed", "phone_changed", "mfa_factor_enrolled"],
  ["mfa_factor_unenrolled", "identity_linked", "identity_unlinked"],
].flat();

export const AUTH_FIELDS: Readonly<Record<string, Schema>> = {
  ...providerFields,
  ...each(
    maybe(flag),
    HOOKS.map((hook) => `hook_${hook}_enabled`),
  ),
  ...each(
    maybe(text),
    HOOKS.map((hook) => `hook_${hook}_uri`),
  ),
  ...each(
    maybe(text),
    HOOKS.map((hook) => `hook_${hook}_secrets`),
  ),
  ...each(
    maybe(text),
    MAILS.map((mail) => `mailer_subjects_${mail}`),
  ),
  ...each(
    maybe(text),
    MAILS.map((mail) => `mailer_templates_${mail}_content`),
  ),
  ...each(
    maybe(text),
    NOTICES.map((notice) => `mailer_subjects_${notice}_notification`),
  ),
  ...each(
    maybe(text),
    NOTICES.map((notice) => `mailer_templates_${notice}_notification_content`),
  ),
  ...each(
    maybe(flag),
    NOTICES.map((notice) => `mailer_notifications_${notice}_enabled`),
  ),
  ...each(maybe(flag), [
    "disable_signup",
    "external_anonymous_users_enabled",
    "external_email_enabled",
    "external_phone_enabled",
    "external_web3_solana_enabled",
    "external_web3_ethereum_enabled",
    "mailer_allow_unverified_email_sign_ins",
    "mailer_autoconfirm",
    "mailer_secure_email_change_enabled",
    "mfa_totp_enroll_enabled",
    "mfa_totp_verify_enabled",
    "mfa_phone_enroll_enabled",
    "mfa_phone_verify_enabled",
    "mfa_web_authn_enroll_enabled",
    "mfa_web_authn_verify_enabled",
    "nimbus_oauth_email_optional",
    "password_hibp_enabled",
    "refresh_token_rotation_enabled",
    "saml_enabled",
    "saml_allow_encrypted_assertions",
    "security_sb_forwarded_for_enabled",
    "security_captcha_enabled",
    "security_manual_linking_enabled",
    "security_update_password_require_reauthentication",
    "sessions_single_per_user",
    "sms_autoconfirm",
  ]),
  ...each(maybe(whole), [
    "api_max_request_duration",
    "db_max_pool_size",
    "jwt_exp",
    "mailer_otp_length",
    "mfa_max_enrolled_factors",
    "mfa_phone_max_frequency",
    "password_min_length",
    "rate_limit_anonymous_users",
    "rate_limit_email_sent",
    "rate_limit_sms_sent",
    "rate_limit_token_refresh",
    "rate_limit_verify",
    "rate_limit_otp",
    "rate_limit_web3",
    "security_refresh_token_reuse_interval",
    "sms_max_frequency",
    "sms_otp_exp",
    "smtp_max_frequency",
  ]),
  ...each(maybe({ type: "number" }), ["sessions_inactivity_timeout", "sessions_timebox"]),
  ...each(whole, [
    "mailer_otp_exp",
    "mfa_phone_otp_length",
    "sms_otp_length",
    "custom_oauth_max_providers",
  ]),
  ...each(flag, [
    "passkey_enabled",
    "oauth_server_enabled",
    "oauth_server_allow_dynamic_registration",
    "custom_oauth_enabled",
  ]),
  ...each(maybe(text), [
    "webauthn_rp_display_name",
    "webauthn_rp_id",
    "webauthn_rp_origins",
    "mfa_phone_template",
    "nimbus_oauth_client_id",
    "nimbus_oauth_client_secret",
    "saml_external_url",
    "security_captcha_secret",
    "sessions_tags",
    "site_url",
    "sms_messagebird_access_key",
    "sms_messagebird_originator",
    "sms_template",
    "sms_test_otp",
    "sms_textlocal_api_key",
    "sms_textlocal_sender",
    "sms_twilio_account_sid",
    "sms_twilio_auth_token",

    "sms_twilio_content_sid",
    "sms_twilio_message_service_sid",
    "sms_twilio_verify_account_sid",
    "sms_twilio_verify_auth_token",
    "sms_twilio_verify_message_service_sid",
    "sms_vonage_api_key",
    "sms_vonage_api_secret",
    "sms_vonage_from",
    "smtp_admin_email",
    "smtp_host",
    "smtp_pass",
    "smtp_port",
    "smtp_sender_name",
    "smtp_user",
    "uri_allow_list",
    "oauth_server_authorization_path",
  ]),
  db_max_pool_size_unit: maybe(words("connections", "percent")),
  // Four fixed sets of characters; which ones does not matter here.
  password_required_characters: maybe(text),
  security_captcha_provider: maybe(words("turnstile", "hcaptcha")),
  sms_provider: maybe(words("messagebird", "textlocal", "twilio", "twilio_verify", "vonage")),
  sms_test_otp_valid_until: maybe(time),
};

const cidrs = object({}, { dbAllowedCidrs: list(text), dbAllowedCidrsV6: list(text) });

const edgeFunction = object(
  {
    id: text,
    slug: text,
    name: text,
    status: words("ACTIVE", "REMOVED", "THROTTLED"),
    version: whole,
    created_at: whole,
    updated_at: whole,
  },
  {
    verify_jwt: flag,
    import_map: flag,
    entrypoint_path: text,
    import_map_path: text,
    ezbr_sha256: text,
  },
);

const get = (path: string, permission: string, answer: Schema): Operation => ({
  method: "GET",
  path,
  permission,
  success: 200,
  answer,
});
const of = "/v1/projects/{ref}";

export const OPERATIONS: readonly Operation[] = [
  get(of, "project_admin_read", project),
  get(`${of}/database/backups`, "backups_read", backups),
  {
    method: "POST",
    path: `${of}/database/backups/restore-pitr`,
    permission: "backups_write",
    request: object({
      recovery_time_target_unix: { type: "integer", minimum: 0, format: "int64" },
    }),
    success: 201,
  },
  get(`${of}/config/auth`, "auth_config_read", object(AUTH_FIELDS)),
  {
    ...get(
      `${of}/config/auth/sso/providers`,
      "auth_config_read",
      object({
        items: list(
          object(
            { id: text },
            {
              saml: object(
                { id: text, entity_id: text },
                {
                  metadata_url: text,
                  metadata_xml: text,
                  name_id_format: text,
                  attribute_mapping: object({ keys: { type: "object" } }),
                },
              ),
              domains: list(
                object({ id: text }, { domain: text, created_at: text, updated_at: text }),
              ),
              created_at: text,
              updated_at: text,
            },
          ),
        ),
      }),
    ),
    otherStatuses: [404],
  },
  get(
    `${of}/config/auth/third-party-auth`,
    "auth_config_read",
    list(
      object(
        { id: { type: "string", format: "uuid" }, type: text, inserted_at: text, updated_at: text },
        {
          oidc_issuer_url: maybe(text),
          jwks_url: maybe(text),
          custom_jwks: maybe({}),
          resolved_jwks: maybe({}),
          resolved_at: maybe(text),
        },
      ),
    ),
  ),
  get(
    `${of}/config/auth/signing-keys`,
    "auth_signing_keys_read",
    object({
      keys: list({
        ...object(
          {
            id: { type: "string", format: "uuid" },
            algorithm: words("EdDSA", "ES256", "RS256", "HS256"),
            status: words("in_use", "previously_used", "revoked", "standby"),
            created_at: time,
            updated_at: time,
          },
          { public_jwk: maybe({}) },
        ),
        additionalProperties: false,
      }),
    }),
  ),
  get(
    `${of}/postgrest`,
    "data_api_config_read",
    object(
      { db_schema: text, max_rows: whole, db_extra_search_path: text, db_pool: maybe(whole) },
      { jwt_secret: text },
    ),
  ),
  get(
    `${of}/config/storage`,
    "storage_config_read",
    object({
      fileSizeLimit: whole,
      features: object({
        imageTransformation: object({ enabled: flag }),
        s3Protocol: object({ enabled: flag }),
        icebergCatalog: object({
          enabled: flag,
          maxNamespaces: whole,
          maxTables: whole,
          maxCatalogs: whole,
        }),
        vectorBuckets: object({ enabled: flag, maxBuckets: whole, maxIndexes: whole }),
      }),
      capabilities: object({ list_v2: flag, iceberg_catalog: flag }),
      external: object({ upstreamTarget: words("main", "canary") }),
      migrationVersion: text,
      databasePoolMode: text,
    }),
  ),
  get(
    `${of}/config/realtime`,
    "realtime_config_read",
    object({
      ...each(maybe(flag), ["private_only", "suspend"]),
      ...each(maybe({ type: "integer", minimum: 1, maximum: 10_000_000 }), [
        "connection_pool",
        "max_concurrent_users",
        "max_events_per_second",
        "max_bytes_per_second",
        "max_channels_per_client",
        "max_joins_per_second",
        "max_presence_events_per_second",
        "max_payload_size_in_kb",
      ]),
      presence_enabled: flag,
    }),
  ),
  get(
    `${of}/config/database/postgres`,
    "database_config_read",
    object(
      {},
      {
        ...each(text, [
          "statement_timeout",
          "work_mem",
          "shared_buffers",
          "max_slot_wal_keep_size",
        ]),
        ...each(whole, ["max_connections", "max_replication_slots", "max_wal_senders"]),
        ...each(flag, ["track_commit_timestamp", "hot_standby_feedback"]),
      },
    ),
  ),
  get(
    `${of}/config/database/pooler`,
    "database_pooling_config_read",
    list(
      object({
        identifier: text,
        database_type: words("PRIMARY", "READ_REPLICA"),
        is_using_scram_auth: flag,
        db_user: text,
        db_host: text,
        db_port: whole,
        db_name: text,
        connection_string: text,
        connectionString: text,
        default_pool_size: maybe(whole),
        max_client_conn: maybe(whole),
        pool_mode: words("transaction", "session"),
      }),
    ),
  ),
  get(
    `${of}/config/disk`,
    "infra_disk_config_read",
    object(
      {
        attributes: object(
          { iops: whole, size_gb: whole, type: words("gp3", "io2") },
          { throughput_mibps: whole },
        ),
      },
      { last_modified_at: text },
    ),
  ),
  get(
    `${of}/ssl-enforcement`,
    "database_ssl_config_read",
    object({ currentConfig: object({ database: flag }), appliedSuccessfully: flag }),
  ),
  get(
    `${of}/network-restrictions`,
    "database_network_restrictions_read",
    object(
      {
        entitlement: words("disallowed", "allowed"),
        config: cidrs,
        status: words("stored", "applied"),
      },
      { old_config: cidrs, updated_at: time, applied_at: time },
    ),
  ),
  {
    ...get(
      `${of}/custom-hostname`,
      "custom_domain_read",
      object({
        status: words(
          "1_not_started",
          "2_initiated",
          "3_challenge_verified",
          "4_origin_setup_completed",
          "5_services_reconfigured",
        ),
        custom_hostname: text,
        data: object({
          success: flag,
          errors: list({}),
          messages: list({}),
          result: object({ id: text, hostname: text, status: text }),
        }),
      }),
    ),
    otherStatuses: [404],
  },
  {
    ...get(
      `${of}/vanity-subdomain`,
      "vanity_subdomain_read",
      object(
        { status: words("not-used", "custom-domain-used", "active") },
        { custom_domain: { type: "string", minLength: 1 } },
      ),
    ),
    otherStatuses: [404],
  },
  get(
    `${of}/billing/addons`,
    "infra_add_ons_read",
    object({
      selected_addons: list(
        object({
          type: words(
            "custom_domain",
            "compute_instance",
            "pitr",
            "ipv4",
            "auth_mfa_phone",
            "auth_mfa_web_authn",
            "log_drain",
          ),
          variant: object({ id: text, name: text, price: { type: "object" } }, { meta: {} }),
        }),
      ),
      available_addons: list({ type: "object" }),
    }),
  ),
  get(
    "/v1/organizations/{slug}",
    "organization_admin_read",
    object(
      { id: text, name: text, opt_in_tags: list(text), allowed_release_channels: list(channel) },
      { plan: words("free", "pro", "team", "enterprise", "platform") },
    ),
  ),
  get(`${of}/functions`, "edge_functions_read", list(edgeFunction)),
  {
    method: "GET",
    path: `${of}/functions/{function_slug}/body`,
    permission: "edge_functions_read",
    success: 200,
    multipart: true,
  },
  get(
    `${of}/secrets`,
    "edge_functions_secrets_read",
    list(object({ name: text, value: text }, { updated_at: text })),
  ),
];
