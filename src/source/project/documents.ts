import type { ConfigDocument } from "../../supabase/index.ts";

/**
 * The documents of a project's configuration, and what of each answer is configuration: what the platform alone changes
 * (times, versions, states on the way) would be drift every day.
 */
export interface DocumentSource extends ConfigDocument {
  readonly name: string;
  /** Statuses by which the API says that the project has none of it, with what that means. */
  readonly absent?: Readonly<Record<number, string>>;
  readonly keep: (answer: unknown) => unknown;
}

/** `undefined`: not the form that the description gives. */
type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const whole = (answer: unknown): unknown => (isFields(answer) ? answer : undefined);

function only(...keys: readonly string[]): (answer: unknown) => unknown {
  return (answer) => {
    if (!isFields(answer)) return undefined;
    const entries = keys.flatMap((key) => (key in answer ? [[key, answer[key]] as const] : []));
    return entries.length === 0 ? undefined : Object.fromEntries(entries);
  };
}

function without(...keys: readonly string[]): (answer: unknown) => unknown {
  return (answer) =>
    isFields(answer)
      ? Object.fromEntries(Object.entries(answer).filter(([key]) => !keys.includes(key)))
      : undefined;
}

/** A list in an order of its own: the API promises none. */
function list(keep: (item: unknown) => unknown): (answer: unknown) => unknown {
  return (answer) => {
    if (!Array.isArray(answer)) return undefined;
    const kept = answer.map((item: unknown) => keep(item));
    if (kept.includes(undefined)) return undefined;
    return kept.toSorted((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1));
  };
}

function orderOf(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    isFields(item)
      ? Object.fromEntries(Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}

function under(key: string, keep: (item: unknown) => unknown): (answer: unknown) => unknown {
  return (answer) => (isFields(answer) ? keep(answer[key]) : undefined);
}

const NO_SAML = { 404: "SAML 2.0 is not enabled" };
const NOT_IN_PLAN = { 402: "the plan does not include it" };

export const DOCUMENTS: readonly DocumentSource[] = [
  { name: "auth", path: "/config/auth", permission: "auth_config_read", keep: whole },
  {
    name: "auth-sso-providers",
    path: "/config/auth/sso/providers",
    permission: "auth_config_read",
    absent: { ...NO_SAML, ...NOT_IN_PLAN },
    keep: under("items", list(without("created_at", "updated_at"))),
  },
  {
    name: "auth-third-party",
    path: "/config/auth/third-party-auth",
    permission: "auth_config_read",
    absent: NOT_IN_PLAN,
    keep: list(without("inserted_at", "updated_at", "resolved_at", "resolved_jwks")),
  },
  {
    name: "auth-signing-keys",
    path: "/config/auth/signing-keys",
    permission: "auth_signing_keys_read",
    keep: under("keys", list(only("id", "algorithm", "status", "public_jwk"))),
  },
  { name: "postgrest", path: "/postgrest", permission: "data_api_config_read", keep: whole },
  {
    name: "storage",
    path: "/config/storage",
    permission: "storage_config_read",
    keep: only("fileSizeLimit", "features"),
  },
  { name: "realtime", path: "/config/realtime", permission: "realtime_config_read", keep: whole },
  {
    name: "postgres",
    path: "/config/database/postgres",
    permission: "database_config_read",
    keep: whole,
  },
  {
    name: "pooler",
    path: "/config/database/pooler",
    permission: "database_pooling_config_read",
    keep: list(without("connection_string", "connectionString")),
  },
  {
    name: "disk",
    path: "/config/disk",
    permission: "infra_disk_config_read",
    absent: NOT_IN_PLAN,
    keep: only("attributes"),
  },
  {
    name: "ssl",
    path: "/ssl-enforcement",
    permission: "database_ssl_config_read",
    keep: only("currentConfig"),
  },
  {
    name: "network",
    path: "/network-restrictions",
    permission: "database_network_restrictions_read",
    absent: NOT_IN_PLAN,
    keep: only("entitlement", "config"),
  },
  {
    name: "vanity-subdomain",
    path: "/vanity-subdomain",
    permission: "vanity_subdomain_read",
    absent: { 404: "there is none", ...NOT_IN_PLAN },
    keep: only("status", "custom_domain"),
  },
  {
    name: "addons",
    path: "/billing/addons",
    permission: "infra_add_ons_read",
    keep: under("selected_addons", list(addon)),
  },
];

/** Asked only where the add-on is taken: without it the API's answer is not described. */
export const CUSTOM_HOSTNAME: DocumentSource = {
  name: "custom-hostname",
  path: "/custom-hostname",
  permission: "custom_domain_read",
  absent: { 404: "none is set up" },
  keep: only("status", "custom_hostname"),
};

/** What is chosen, without its price. */
function addon(item: unknown): unknown {
  if (!isFields(item) || !isFields(item["variant"])) return undefined;
  const { type, variant } = item;
  if (typeof type !== "string" || typeof variant["id"] !== "string") return undefined;
  return { type, variant: variant["id"] };
}

export function hasCustomDomain(addons: unknown): boolean {
  return (
    Array.isArray(addons) && addons.some((one) => isFields(one) && one["type"] === "custom_domain")
  );
}

export const keepOrganization: (answer: unknown) => unknown = only("name", "plan");
