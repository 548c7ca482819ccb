/** Which server and which database this is. What the role may not read is left out, never guessed. */
import type { ServerIdentity } from "../../manifest/index.ts";
import type { Connection } from "../../postgres/index.ts";
import { sourceError } from "../errors.ts";

interface DatabaseRow extends Record<string, unknown> {
  readonly oid: number;
  readonly name: string;
  readonly version: string;
  readonly encoding: string;
  readonly collate: string;
  readonly ctype: string;
  readonly owner: string;
  readonly acl: string | null;
  readonly comment: string | null;
  readonly connection_limit: number;
  readonly settings: readonly string[];
  readonly may_read_control: boolean;
}

const DATABASE = `
  SELECT d.oid::int8::float8 AS oid, d.datname::text AS name, version() AS version,
         pg_encoding_to_char(d.encoding)::text AS encoding,
         d.datcollate::text AS collate, d.datctype::text AS ctype,
         pg_get_userbyid(d.datdba)::text AS owner, d.datacl::text AS acl,
         shobj_description(d.oid, 'pg_database') AS comment,
         d.datconnlimit AS connection_limit,
         coalesce((SELECT s.setconfig FROM pg_db_role_setting s
                    WHERE s.setdatabase = d.oid AND s.setrole = 0), '{}') AS settings,
         has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') AS may_read_control
    FROM pg_database d WHERE d.datname = current_database()`;

const NO_LIMIT = -1;

export async function readServerIdentity(session: Connection): Promise<ServerIdentity> {
  const [row] = await session.query<DatabaseRow>(DATABASE);
  if (row === undefined) throw sourceError("catalog_unreadable", { message: "own database" });
  const { acl, comment, connection_limit: connectionLimit } = row;
  return {
    ...(await readSystemIdentifier(session, row.may_read_control)),
    databaseOid: row.oid,
    databaseName: row.name,
    versionNum: session.versionNum,
    version: row.version,
    encoding: row.encoding,
    collate: row.collate,
    ctype: row.ctype,
    ...(await readLocale(session)),
    owner: row.owner,
    settings: row.settings,
    ...(acl === null ? {} : { acl }),
    ...(comment === null ? {} : { comment }),
    ...(connectionLimit === NO_LIMIT ? {} : { connectionLimit }),
  };
}

async function readSystemIdentifier(
  session: Connection,
  mayRead: boolean,
): Promise<Pick<ServerIdentity, "systemIdentifier">> {
  if (!mayRead) return {};
  const [row] = await session.query<{ id: string }>(
    "SELECT system_identifier::text AS id FROM pg_control_system()",
  );
  return row === undefined ? {} : { systemIdentifier: row.id };
}

const PROVIDERS: Readonly<Record<string, ServerIdentity["localeProvider"]>> = {
  c: "libc",
  i: "icu",
  b: "builtin",
};

/** A database has a provider since 15; its locale's column changed its name in 17. */
async function readLocale(
  session: Connection,
): Promise<Pick<ServerIdentity, "localeProvider" | "icuLocale">> {
  if (session.versionNum < 150_000) return { localeProvider: "libc" };
  const column = session.versionNum < 170_000 ? "daticulocale" : "datlocale";
  const [row] = await session.query<{ provider: string; locale: string | null }>(
    `SELECT datlocprovider::text AS provider, ${column}::text AS locale
       FROM pg_database WHERE datname = current_database()`,
  );
  const localeProvider = row === undefined ? undefined : PROVIDERS[row.provider];
  if (row === undefined || localeProvider === undefined) {
    throw sourceError("catalog_unreadable", {
      message: `locale provider ${JSON.stringify(row?.provider ?? "none")}`,
    });
  }
  return { localeProvider, ...(row.locale === null ? {} : { icuLocale: row.locale }) };
}
