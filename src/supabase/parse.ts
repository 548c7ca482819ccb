import {
  at,
  fieldsOf,
  flagOf,
  listOf,
  oneOf,
  refuse,
  textOf,
  timeOf,
  unixTimeOf,
} from "./answer.ts";
import type { Fields, Place } from "./answer.ts";
import { BACKUP_STATUSES, PROJECT_STATUSES } from "./types.ts";
import type {
  EdgeFunction,
  EdgeSecret,
  Project,
  ProviderBackup,
  ProviderBackups,
} from "./types.ts";

export const PROJECT_REF = /^[a-z]{20}$/;

export function parseProject(value: unknown, place: Place): Project {
  const fields = fieldsOf(value, place);
  const ref = textOf(fields, "ref", place);
  if (!PROJECT_REF.test(ref)) throw refuse(at(place, "ref"), "a project reference");
  const inDatabase = at(place, "database");
  const database = fieldsOf(fields["database"], inDatabase);
  return {
    ref,
    name: textOf(fields, "name", place),
    region: textOf(fields, "region", place),
    organization: textOf(fields, "organization_slug", place),
    createdAt: timeOf(fields, "created_at", place),
    status: oneOf(fields, "status", PROJECT_STATUSES, place),
    database: {
      host: textOf(database, "host", inDatabase),
      version: textOf(database, "version", inDatabase),
      engine: textOf(database, "postgres_engine", inDatabase),
      releaseChannel: textOf(database, "release_channel", inDatabase),
    },
  };
}

export function parseBackups(value: unknown, place: Place): ProviderBackups {
  const fields = fieldsOf(value, place);
  const inPhysical = at(place, "physical_backup_data");
  const physical = fieldsOf(fields["physical_backup_data"], inPhysical);
  const earliest = unixTimeOf(physical, "earliest_physical_backup_date_unix", inPhysical);
  const latest = unixTimeOf(physical, "latest_physical_backup_date_unix", inPhysical);
  if (earliest !== undefined && latest !== undefined && earliest > latest)
    throw refuse(inPhysical, "a window that ends after it begins");
  return {
    region: textOf(fields, "region", place),
    walArchived: flagOf(fields, "walg_enabled", place),
    pitr: flagOf(fields, "pitr_enabled", place),
    backups: listOf(fields["backups"], at(place, "backups"), parseBackup).toSorted(
      (a, b) => b.at.getTime() - a.at.getTime(),
    ),
    ...(earliest === undefined ? {} : { earliest }),
    ...(latest === undefined ? {} : { latest }),
  };
}

function parseBackup(value: unknown, place: Place): ProviderBackup {
  const fields = fieldsOf(value, place);
  return {
    physical: flagOf(fields, "is_physical_backup", place),
    status: oneOf(fields, "status", BACKUP_STATUSES, place),
    at: timeOf(fields, "inserted_at", place),
  };
}

const SLUG = /^[A-Za-z0-9_-]{1,128}$/;

export function parseFunction(value: unknown, place: Place): EdgeFunction {
  const fields = fieldsOf(value, place);
  const slug = textOf(fields, "slug", place);
  // It becomes part of a path here and there.
  if (!SLUG.test(slug)) throw refuse(at(place, "slug"), "a slug");
  const version = fields["version"];
  if (typeof version !== "number" || !Number.isSafeInteger(version))
    throw refuse(at(place, "version"), "a whole number");
  return {
    slug,
    name: textOf(fields, "name", place),
    status: oneOf(fields, "status", ["ACTIVE", "REMOVED", "THROTTLED"], place),
    version,
    ...optional(fields, "verify_jwt", "verifyJwt", flagOf, place),
    ...optional(fields, "import_map", "importMap", flagOf, place),
    ...optional(fields, "entrypoint_path", "entrypointPath", textOf, place),
    ...optional(fields, "import_map_path", "importMapPath", textOf, place),
    ...optional(fields, "ezbr_sha256", "bundleSha256", textOf, place),
  };
}

/** Absent and null are the same here: the description leaves both open. */
function optional<Key extends string, Value>(
  fields: Fields,
  from: string,
  to: Key,
  parse: (fields: Fields, key: string, place: Place) => Value,
  place: Place,
): { [K in Key]?: Value } {
  const found: { [K in Key]?: Value } = {};
  if (fields[from] !== undefined && fields[from] !== null) found[to] = parse(fields, from, place);
  return found;
}

export function parseSecret(value: unknown, place: Place): EdgeSecret {
  const fields = fieldsOf(value, place);
  const name = textOf(fields, "name", place);
  if (name === "") throw refuse(at(place, "name"), "a name");
  return { name, digest: textOf(fields, "value", place) };
}
