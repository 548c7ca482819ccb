import { AUTH_NEVER_NULL, AUTH_SETTINGS } from "./auth-settings.ts";
import type { PlannedRequest, Settings } from "./types.ts";

/**
 * What sets a document of the configuration: the request, which of its settings it takes, and in what form. Of the published
 * description (docs/spec/project.md).
 */
export interface Service extends Pick<PlannedRequest, "method" | "path" | "permission"> {
  /** Of the document. */
  readonly name: string;
  /** The settings in a document; `undefined` where it is not of the form that is known. */
  readonly read: (document: unknown) => Settings | undefined;
  /** Why this setting cannot be put to this value; `undefined` where it can. */
  readonly refusal: (setting: string, to: unknown) => string | undefined;
  /** `wanted` of `all` that the document holds; secrets are in clear in both. */
  readonly body: (wanted: Settings, all: Settings) => unknown;
  /**
   * What the document leaves out is off. The body holds all of it: a PUT is taken to replace what is there, which the
   * description does not say; where it only adds, reading back shows what stayed.
   */
  readonly replaces?: true;
}

const NO_NULL = "the API takes no null for it";
const UNKNOWN = "no request that this version knows sets it";

export function isFields(value: unknown): value is Settings {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const fields = (document: unknown): Settings | undefined =>
  isFields(document) ? document : undefined;

function taking(
  names: ReadonlySet<string>,
  nullable: (name: string) => boolean,
): Service["refusal"] {
  return (setting, to) => {
    if (!names.has(setting)) return UNKNOWN;
    return to === null && !nullable(setting) ? NO_NULL : undefined;
  };
}

const never = (): boolean => false;
const wanted: Service["body"] = (settings) => settings;

const POSTGREST = new Set(["db_extra_search_path", "db_pool", "db_schema", "max_rows"]);
const REALTIME = new Set(
  [
    ["connection_pool", "max_bytes_per_second", "max_channels_per_client", "max_concurrent_users"],
    ["max_events_per_second", "max_joins_per_second", "max_payload_size_in_kb"],
    ["max_presence_events_per_second", "presence_enabled", "private_only", "suspend"],
  ].flat(),
);
const POSTGRES = new Set(
  [
    ["checkpoint_timeout", "effective_cache_size", "hot_standby_feedback"],
    ["logical_decoding_work_mem", "maintenance_work_mem", "max_connections"],
    ["max_locks_per_transaction", "max_parallel_maintenance_workers", "max_parallel_workers"],
    ["max_parallel_workers_per_gather", "max_replication_slots", "max_slot_wal_keep_size"],
    ["max_standby_archive_delay", "max_standby_streaming_delay", "max_wal_senders"],
    ["max_wal_size", "max_worker_processes", "session_replication_role", "shared_buffers"],
    ["statement_timeout", "track_activity_query_size", "track_commit_timestamp"],
    ["wal_keep_size", "wal_sender_timeout", "work_mem"],
  ].flat(),
);
const FEATURES = ["icebergCatalog", "imageTransformation", "s3Protocol", "vectorBuckets"];

const auth: Service = {
  name: "auth",
  method: "PATCH",
  path: "/config/auth",
  permission: "auth_config_write",
  read: fields,
  refusal: taking(AUTH_SETTINGS, (name) => !AUTH_NEVER_NULL.has(name)),
  body: wanted,
};

const postgrest: Service = {
  name: "postgrest",
  method: "PATCH",
  path: "/postgrest",
  permission: "data_api_config_write",
  // The JWT secret is the project's own: said under what is to be given by hand.
  read: (document) => {
    if (!isFields(document)) return undefined;
    const { jwt_secret: _secret, ...settings } = document;
    return settings;
  },
  refusal: taking(POSTGREST, never),
  body: wanted,
};

const storage: Service = {
  name: "storage",
  method: "PATCH",
  path: "/config/storage",
  permission: "storage_config_write",
  read: (document) => {
    if (!isFields(document)) return undefined;
    const { features, ...settings } = document;
    return { ...settings, ...(isFields(features) ? features : {}) };
  },
  refusal: taking(new Set([...FEATURES, "fileSizeLimit"]), never),
  body: (settings) => {
    const { fileSizeLimit, ...features } = settings;
    return {
      ...(fileSizeLimit === undefined ? {} : { fileSizeLimit }),
      ...(Object.keys(features).length === 0 ? {} : { features }),
    };
  },
};

const realtime: Service = {
  name: "realtime",
  method: "PATCH",
  path: "/config/realtime",
  permission: "realtime_config_write",
  read: fields,
  refusal: taking(REALTIME, never),
  body: wanted,
};

const postgres: Service = {
  name: "postgres",
  method: "PUT",
  path: "/config/database/postgres",
  permission: "database_config_write",
  read: fields,
  refusal: taking(POSTGRES, () => true),
  body: (_settings, all) =>
    Object.fromEntries(
      Object.entries(all).filter(([name, value]) => POSTGRES.has(name) && value !== null),
    ),
  replaces: true,
};

const pooler: Service = {
  name: "pooler",
  method: "PATCH",
  path: "/config/database/pooler",
  permission: "database_pooling_config_write",
  read: (document) => {
    if (!Array.isArray(document)) return undefined;
    const primary: unknown = document.find(
      (one: unknown) => isFields(one) && one["database_type"] === "PRIMARY",
    );
    if (!isFields(primary)) return {};
    // Addresses are the project's own; how many clients may come follows its size.
    const { default_pool_size: size = null, pool_mode: mode = null } = primary;
    return { default_pool_size: size, pool_mode: mode };
  },
  refusal: taking(new Set(["default_pool_size", "pool_mode"]), (name) => name !== "pool_mode"),
  body: wanted,
};

const network: Service = {
  name: "network",
  method: "POST",
  path: "/network-restrictions/apply",
  permission: "database_network_restrictions_write",
  read: (document) => {
    if (!isFields(document)) return undefined;
    const config = isFields(document["config"]) ? document["config"] : {};
    const { dbAllowedCidrs = [], dbAllowedCidrsV6 = [] } = config;
    return { dbAllowedCidrs, dbAllowedCidrsV6 };
  },
  refusal: taking(new Set(["dbAllowedCidrs", "dbAllowedCidrsV6"]), never),
  body: (_settings, all) => all,
};

const ssl: Service = {
  name: "ssl",
  method: "PUT",
  path: "/ssl-enforcement",
  permission: "database_ssl_config_write",
  read: (document) =>
    isFields(document) && isFields(document["currentConfig"])
      ? document["currentConfig"]
      : undefined,
  refusal: taking(new Set(["database"]), never),
  body: (settings) => ({ requestedConfig: settings }),
};

export const SERVICES: readonly Service[] = [auth, postgrest, storage, realtime, postgres, pooler];

/** They may keep out whoever would put the rest back. */
export const LAST_SERVICES: readonly Service[] = [network, ssl];

/** Compared as a whole, and set by nothing here. */
export const BY_HAND: Readonly<Record<string, string>> = {
  "auth-sso-providers": "SSO providers are made in the dashboard or by the CLI",
  "auth-third-party": "third-party providers are made in the dashboard",
  addons: "add-ons and compute are chosen, and paid for, in the dashboard",
  disk: "the disk is chosen, and paid for, in the dashboard",
  "vanity-subdomain": "a vanity subdomain belongs to one project at a time",
  "custom-hostname": "a custom hostname belongs to one project at a time",
};
