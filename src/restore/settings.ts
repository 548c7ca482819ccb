import { quoteIdentifier, quoteLiteral } from "../postgres/index.ts";

/** `ALTER ROLE … SET` and `ALTER DATABASE … SET` from `pg_db_role_setting`, as far as they are harmless (R5). */

/** Names whose value is a list in the catalog's quoting, and must be set as a list again. */
const LISTS = new Set([
  "search_path",
  "temp_tablespaces",
  "local_preload_libraries",
  "session_preload_libraries",
  "shared_preload_libraries",
  "unix_socket_directories",
]);

/** Settable by a superuser only, and yet unable to load code or to reach a file. */
const SAFE_SUPERUSER_SETTINGS =
  /^(log_\w+|track_\w+|deadlock_timeout|session_replication_role|temp_file_limit|pgaudit\.\w+|auto_explain\.\w+|pg_stat_statements\.\w+)$/;
const UNSAFE_LOG_SETTINGS = new Set(["log_directory", "log_filename", "log_destination"]);
/** A library named here is loaded at the start of each session, by whoever logs in. */
const NEVER = new Set([
  "local_preload_libraries",
  "session_preload_libraries",
  "dynamic_library_path",
  "role",
  "session_authorization",
]);

export interface Setting {
  readonly name: string;
  readonly value: string;
}

export function parseSetting(text: string): Setting {
  const equals = text.indexOf("=");
  return { name: text.slice(0, equals).toLowerCase(), value: text.slice(equals + 1) };
}

/** `contexts`: the target's `pg_settings.context` by name; a name that it does not know is a customised option. */
export function reasonToWithholdSetting(
  setting: Setting,
  contexts: ReadonlyMap<string, string>,
): string | undefined {
  if (NEVER.has(setting.name)) return "could make a session load code or act as another role";
  const context = contexts.get(setting.name);
  if (context === undefined) {
    return setting.name.includes(".") ? undefined : "unknown to the target server";
  }
  if (context === "user") return undefined;
  const safe = SAFE_SUPERUSER_SETTINGS.test(setting.name) && !UNSAFE_LOG_SETTINGS.has(setting.name);
  return context === "superuser" && safe
    ? undefined
    : "only a superuser may set it, and it may reach beyond the database";
}

/** `SET name TO value`, to follow `ALTER ROLE x` or `ALTER DATABASE x`. */
export function setClause(setting: Setting): string {
  const name = setting.name.split(".").map(quoteIdentifier).join(".");
  const values = LISTS.has(setting.name) ? splitList(setting.value) : [setting.value];
  return `SET ${name} TO ${values.length === 0 ? "''" : values.map(quoteLiteral).join(", ")}`;
}

/** The catalog's list form: elements apart by commas, in double quotes where they need it. */
export function splitList(text: string): readonly string[] {
  const elements: string[] = [];
  const element = /\s*(?:"((?:[^"]|"")*)"|([^,"]*))\s*(?:,|$)/y;
  while (element.lastIndex < text.length) {
    const match = element.exec(text);
    // Not the catalog's form: one value, as it stands.
    if (match === null) return [text];
    elements.push((match[1]?.replaceAll('""', '"') ?? match[2] ?? "").trim());
  }
  return elements;
}
