import { quoteIdentifier } from "../postgres/index.ts";
import type { Connection } from "../postgres/index.ts";

/**
 * Whoever is to own an object needs CREATE in its schema at the moment that it is given, unless a superuser gives it.
 * The source's grants come later, and may not include that right at all: a table keeps its owner when it is revoked.
 */

export interface Placed {
  readonly schema: string | undefined;
  readonly owner: string;
}

export interface Lent {
  readonly grants: readonly string[];
  readonly revokes: readonly string[];
}

const LACKING = `
SELECT DISTINCT w.schema, w.owner
  FROM unnest($1::text[], $2::text[]) AS w(schema, owner)
  JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema
  JOIN pg_catalog.pg_roles AS r ON r.rolname = w.owner
 WHERE NOT pg_catalog.has_schema_privilege(r.oid, n.oid, 'CREATE')
 ORDER BY 1, 2`;

/** To be run before and after the objects are given, in the one transaction of all three. */
export async function rightsToLend(admin: Connection, placed: readonly Placed[]): Promise<Lent> {
  const inSchemas = placed.flatMap(({ schema, owner }) =>
    schema === undefined ? [] : [{ schema, owner }],
  );
  const rows = await admin.query<{ schema: string; owner: string }>(LACKING, [
    inSchemas.map(({ schema }) => schema),
    inSchemas.map(({ owner }) => owner),
  ]);
  const texts = rows.map(({ schema, owner }) => ({
    on: `CREATE ON SCHEMA ${quoteIdentifier(schema)}`,
    role: quoteIdentifier(owner),
  }));
  return {
    grants: texts.map(({ on, role }) => `GRANT ${on} TO ${role}`),
    revokes: texts.map(({ on, role }) => `REVOKE ${on} FROM ${role}`),
  };
}
