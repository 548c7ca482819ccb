import { hash } from "node:crypto";
import type { Schema } from "./json-schema.ts";
import { AUTH_FIELDS } from "./management-api-description.ts";
import type { Operation } from "./management-api-description.ts";
import type { ProjectState } from "./management-api-project.ts";

/**
 * The requests that change a project's configuration, as the description that management-api-description.ts names gives
 * them (commit 06fd6bce), and what the stand-in does with them. Facts only, in our own words and order.
 */
const text: Schema = { type: "string" };
const flag: Schema = { type: "boolean" };
const between = (minimum: number, maximum: number): Schema => ({
  type: "integer",
  minimum,
  maximum,
});
const object = (properties: Readonly<Record<string, Schema>>, more: Schema = {}): Schema => ({
  type: "object",
  properties,
  ...more,
});
const closed: Schema = { additionalProperties: false };
const each = (schema: Schema, names: readonly string[]): Record<string, Schema> =>
  Object.fromEntries(names.map((name) => [name, schema]));

/** What the answer has besides and the body has not. */
const ANSWER_ONLY = [
  ["saml_allow_encrypted_assertions", "nimbus_oauth_email_optional", "custom_oauth_max_providers"],
].flat();
const NOT_NULL = ["mailer_otp_exp", "sms_otp_length", "passkey_enabled", "custom_oauth_enabled"];

/** The body is open; what it does not name would be passed over in silence, so it is closed here. */
const authBody: Schema = object(
  Object.fromEntries(
    Object.entries(AUTH_FIELDS)
      .filter(([name]) => !ANSWER_ONLY.includes(name))
      .map(([name, { nullable: _nullable, ...schema }]) => [
        name,
        NOT_NULL.includes(name) ? schema : { ...schema, nullable: true },
      ]),
  ),
  closed,
);

const enabled = object({ enabled: flag }, { required: ["enabled"] });
const storageBody: Schema = object(
  {
    fileSizeLimit: between(0, 536_870_912_000),
    features: object({
      imageTransformation: enabled,
      s3Protocol: enabled,
      icebergCatalog: object(
        {
          enabled: flag,
          ...each(between(0, 1e9), ["maxNamespaces", "maxTables", "maxCatalogs"]),
        },
        { required: ["enabled", "maxNamespaces", "maxTables", "maxCatalogs"] },
      ),
      vectorBuckets: object(
        { enabled: flag, ...each(between(0, 1e9), ["maxBuckets", "maxIndexes"]) },
        { required: ["enabled", "maxBuckets", "maxIndexes"] },
      ),
    }),
  },
  closed,
);

const realtimeBody: Schema = object(
  {
    ...each(flag, ["private_only", "suspend", "presence_enabled"]),
    connection_pool: between(1, 100),
    max_concurrent_users: between(1, 50_000),
    max_events_per_second: between(1, 50_000),
    max_bytes_per_second: between(1, 10_000_000),
    max_channels_per_client: between(1, 10_000),
    max_joins_per_second: between(1, 5_000),
    max_presence_events_per_second: between(1, 5_000),
    max_payload_size_in_kb: between(1, 10_000),
  },
  closed,
);

const span: Schema = { type: "string", pattern: "^(-?[0-9]+(?:\\.[0-9]+)?)(us|ms|s|min|h|d)?$" };
const postgresBody: Schema = object(
  {
    statement_timeout: span,
    ...each(text, ["work_mem", "shared_buffers", "max_slot_wal_keep_size"]),
    max_connections: between(1, 262_143),
    ...each({ type: "integer" }, ["max_replication_slots", "max_wal_senders"]),
    ...each(flag, ["track_commit_timestamp", "hot_standby_feedback"]),
  },
  closed,
);

const of = "/v1/projects/{ref}";
type Change = readonly [
  method: "PATCH" | "PUT" | "POST",
  path: string,
  permission: string,
  request: Schema,
  success: 200 | 201 | 204,
];
const CHANGES: readonly Change[] = [
  ["PATCH", "/config/auth", "auth_config_write", authBody, 200],
  [
    "PATCH",
    "/postgrest",
    "data_api_config_write",
    object({
      ...each(text, ["db_extra_search_path", "db_schema"]),
      max_rows: between(0, 1_000_000),
      db_pool: between(0, 1_000),
    }),
    200,
  ],
  ["PATCH", "/config/storage", "storage_config_write", storageBody, 200],
  ["PATCH", "/config/realtime", "realtime_config_write", realtimeBody, 204],
  ["PUT", "/config/database/postgres", "database_config_write", postgresBody, 200],
  [
    "PATCH",
    "/config/database/pooler",
    "database_pooling_config_write",
    object({
      default_pool_size: { ...between(0, 3_000), nullable: true },
      pool_mode: { type: "string", enum: ["transaction", "session"] },
    }),
    200,
  ],
  [
    "PUT",
    "/ssl-enforcement",
    "database_ssl_config_write",
    object(
      { requestedConfig: object({ database: flag }, { required: ["database"] }) },
      { required: ["requestedConfig"] },
    ),
    200,
  ],
  [
    "POST",
    "/network-restrictions/apply",
    "database_network_restrictions_write",
    object(each({ type: "array", items: text }, ["dbAllowedCidrs", "dbAllowedCidrsV6"])),
    201,
  ],
  [
    "POST",
    "/secrets",
    "edge_functions_secrets_write",
    {
      type: "array",
      items: object(
        {
          name: { type: "string", maxLength: 256, pattern: "^(?!SUPABASE_).*" },
          value: { type: "string", maxLength: 24_576 },
        },
        { required: ["name", "value"] },
      ),
    },
    201,
  ],
];

export const WRITES: readonly Operation[] = [
  ...CHANGES.map(([method, path, permission, request, success]) => ({
    method,
    path: `${of}${path}`,
    permission,
    request,
    success,
  })),
  {
    method: "POST",
    path: `${of}/functions/deploy`,
    permission: "edge_functions_write",
    success: 201,
    multipartRequest: true,
    query: { slug: { type: "string", pattern: "^[A-Za-z][A-Za-z0-9_-]*$" } },
  },
];

/** The `metadata` of a deployment. */
export const DEPLOYMENT: Schema = object(
  {
    ...each(text, ["entrypoint_path", "import_map_path", "name"]),
    verify_jwt: flag,
    static_patterns: { type: "array", items: text },
  },
  { required: ["entrypoint_path"], additionalProperties: false },
);

/** Does what a request asks; settings in `state.ignored` are taken without an error, and not kept. */
export function applyChange(state: ProjectState, path: string, body: unknown): void {
  const kept = (fields: object): object =>
    Object.fromEntries(Object.entries(fields).filter(([name]) => !state.ignored.includes(name)));
  const answer = state.answers[path] as Record<string, unknown>;
  if (path === "/secrets") return setSecrets(state, body as NamedValue[]);
  if (path === "/config/storage") {
    const { features = {}, ...rest } = body as { features?: object };
    const { features: before = {} } = answer as { features?: object };
    state.answers[path] = { ...answer, ...kept(rest), features: { ...before, ...kept(features) } };
  } else if (path === "/config/database/postgres") {
    state.answers[path] = kept(body as object);
  } else if (path === "/config/database/pooler") {
    const [primary] = state.answers[path] as object[];
    state.answers[path] = [{ ...primary, ...kept(body as object) }];
  } else if (path === "/ssl-enforcement") {
    const { requestedConfig } = body as { requestedConfig: object };
    state.answers[path] = { currentConfig: kept(requestedConfig), appliedSuccessfully: true };
  } else if (path === "/network-restrictions/apply") {
    const before = state.answers["/network-restrictions"] as object;
    const config = kept(body as object);
    state.answers["/network-restrictions"] = { ...before, config, status: "applied" };
  } else state.answers[path] = { ...answer, ...kept(body as object) };
}

interface NamedValue {
  readonly name: string;
  readonly value: string;
}

function setSecrets(state: ProjectState, added: readonly NamedValue[]): void {
  const before = state.answers["/secrets"] as NamedValue[];
  const rest = before.filter(({ name }) => !added.some((one) => one.name === name));
  const digests = added
    .filter(({ name }) => !state.ignored.includes(name))
    .map(({ name, value }) => ({ name, value: hash("sha256", value, "hex") }));
  state.answers["/secrets"] = [...rest, ...digests];
}

/** Multipart as `fetch` sends it, read by the platform's own parser. */
export async function deploy(
  state: ProjectState,
  slug: string,
  body: Buffer,
  contentType: string,
): Promise<unknown> {
  const form = await new Response(body, { headers: { "content-type": contentType } }).formData();
  const said = form.get("metadata");
  const metadata: unknown = JSON.parse(typeof said === "string" ? said : "");
  const files = form.getAll("file").map((file) => {
    if (typeof file === "string") throw new Error("a file without a name");
    return file;
  });
  const {
    entrypoint_path: entrypoint,
    import_map_path: importMap,
    ...rest
  } = metadata as Record<string, unknown>;
  if (!files.some(({ name }) => name === entrypoint)) throw new Error("no entrypoint");
  state.sources[slug] = [
    { text: "{}" },
    ...(await Promise.all(
      files.map(async (file) => ({
        path: file.name,
        text: await file.text(),
        header: true as const,
      })),
    )),
  ];
  const at = (path: unknown): string => `file:///tmp/user_fn/${String(path)}`;
  const listed = state.answers["/functions"] as { slug: string; version: number }[];
  const known = listed.find((one) => one.slug === slug);
  state.answers["/functions"] = [
    ...listed.filter((one) => one !== known),
    {
      id: `f-${slug}`,
      slug,
      status: "ACTIVE",
      version: (known?.version ?? 0) + 1,
      created_at: 1,
      updated_at: 2,
      ...rest,
      entrypoint_path: at(entrypoint),
      ...(importMap === undefined ? {} : { import_map_path: at(importMap) }),
    },
  ];
  return metadata;
}
