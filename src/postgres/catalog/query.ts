/**
 * One kind of object. The query gives `schema` (raw name, '' where it has none), `identity` (its full name, quoted where
 * SQL needs it, never an oid) and `facts` (jsonb, an attribute a key).
 */
export interface FactQuery {
  readonly kind: string;
  readonly sql: string;
}

export const OF_USERS = (schema: string): string =>
  String.raw`${schema} NOT LIKE 'pg\_%' AND ${schema} <> 'information_schema'`;

/** What an extension brought comes back with it. */
export const NO_MEMBER = (catalog: string, alias: string): string =>
  `NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = '${catalog}'::regclass AND x.objid = ${alias}.oid AND x.deptype = 'e')`;

export const NAME = (schema: string, name: string): string =>
  `quote_ident(${schema}) || '.' || quote_ident(${name})`;

export const ROLE = (oid: string): string => `pg_get_userbyid(${oid})`;

export const SORTED = (array: string): string =>
  `(SELECT string_agg(e, ', ' ORDER BY e) FROM unnest(${array}) AS e)`;

/** A column that not every version has, as text. */
export const LATER = (alias: string, column: string): string =>
  `(to_jsonb(${alias}) ->> '${column}')`;
