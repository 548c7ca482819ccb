import type { REACHING_EXTENSIONS } from "../../manifest/index.ts";

/** Switched off until released (I5), or what no restore may bring (I6). */
export const WITHHELD_KINDS: Readonly<Record<string, string>> = {
  "EVENT TRIGGER": "runs by itself on every schema change; `sparekeep release` creates it",
  PUBLICATION: "sends changes elsewhere; `sparekeep release` creates it",
  "PUBLICATION TABLE": "part of a publication",
  "PUBLICATION TABLES IN SCHEMA": "part of a publication",
  SUBSCRIPTION: "fetches changes from elsewhere; create it again when the database is released",
  "SUBSCRIPTION TABLE": "part of a subscription",
  "USER MAPPING": "logs in to a foreign server; `sparekeep release` creates it",
  SERVER: "reaches another server; `sparekeep release` creates it",
  "FOREIGN DATA WRAPPER":
    "reaches other servers or files, and only a superuser may create it; create it by hand",
  "PROCEDURAL LANGUAGE": "a language outside an extension, which only a superuser may install",
};

export const WITHHELD_EXTENSIONS: Readonly<Record<string, string>> = {
  pg_cron: "runs jobs by itself; installed last where the target has it, its jobs switched off",
  pg_net: "sends requests by itself; `sparekeep release` installs it",
  http: "sends requests; `sparekeep release` installs it",
  dblink: "opens connections elsewhere; `sparekeep release` installs it",
  postgres_fdw: "opens connections elsewhere; `sparekeep release` installs it",
  mysql_fdw: "opens connections elsewhere; a superuser has to install it",
  oracle_fdw: "opens connections elsewhere; a superuser has to install it",
  tds_fdw: "opens connections elsewhere; a superuser has to install it",
  wrappers: "opens connections elsewhere; a superuser has to install it",
  file_fdw: "reads files of the server; a superuser has to install it",
  adminpack: "writes files of the server; a superuser has to install it",
  plpython3u: "an untrusted language; a superuser has to install it",
  plperlu: "an untrusted language; a superuser has to install it",
  pltclu: "an untrusted language; a superuser has to install it",
};

/**
 * Extensions through which a database reaches outside, with the schemas that are theirs alone and the names of what they
 * bring elsewhere: grants on such objects name no extension in the archive.
 */
export const REACHING: Readonly<
  Record<
    (typeof REACHING_EXTENSIONS)[number],
    { readonly schemas: readonly string[]; readonly names: RegExp }
  >
> = {
  dblink: { schemas: [], names: /^dblink/ },
  http: { schemas: [], names: /^(?:http|urlencode)/ },
  pg_cron: { schemas: ["cron"], names: /^cron$/ },
  pg_net: { schemas: ["net"], names: /^net$/ },
  postgres_fdw: { schemas: [], names: /^postgres_fdw/ },
  mysql_fdw: { schemas: [], names: /^mysql_fdw/ },
  oracle_fdw: { schemas: [], names: /^oracle_/ },
  tds_fdw: { schemas: [], names: /^tds_fdw/ },
  wrappers: { schemas: [], names: /_fdw_(?:handler|validator)|_wrapper$/ },
  file_fdw: { schemas: [], names: /^file_fdw/ },
};

export function isReaching(extension: string): extension is keyof typeof REACHING {
  return Object.hasOwn(REACHING, extension);
}
