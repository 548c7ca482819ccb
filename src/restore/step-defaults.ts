import { quoteIdentifier } from "../postgres/index.ts";
import { orIssue } from "./context.ts";
import type { Work } from "./context.ts";
import { inTransaction } from "./ledger.ts";

/**
 * Default privileges of the customer in a new project hold from the first table on: an old project gives every new table
 * to roles that the source may have shut out. They are taken away before anything is built; the source's own come with
 * its grants.
 */
const DEFAULTS = `
SELECT pg_get_userbyid(d.defaclrole) AS role, n.nspname AS schema, d.defaclobjtype AS type,
       CASE WHEN a.grantee = 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END AS grantee
  FROM pg_default_acl AS d LEFT JOIN pg_namespace AS n ON n.oid = d.defaclnamespace
 CROSS JOIN LATERAL aclexplode(d.defaclacl) AS a
 WHERE d.defaclrole = current_user::regrole AND d.defaclnamespace <> 0
 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4`;

const KINDS: Readonly<Record<string, string>> = {
  r: "TABLES",
  S: "SEQUENCES",
  f: "FUNCTIONS",
  T: "TYPES",
  n: "SCHEMAS",
};

const CLEARED = "step:defaults";

export async function clearDefaults(work: Work): Promise<void> {
  if (work.platform === undefined || work.ledger.has(CLEARED)) return;
  const rows = await work.admin.query<{
    role: string;
    schema: string;
    type: string;
    grantee: string | null;
  }>(DEFAULTS);
  const statements = rows.flatMap(({ role, schema, type, grantee }) => {
    const kind = KINDS[type];
    if (kind === undefined) return [];
    const from = grantee === null ? "PUBLIC" : quoteIdentifier(grantee);
    return `ALTER DEFAULT PRIVILEGES FOR ROLE ${quoteIdentifier(role)} IN SCHEMA ${quoteIdentifier(schema)}
            REVOKE ALL ON ${kind} FROM ${from}`;
  });
  await orIssue(work, { code: "grant_failed", object: "DEFAULT PRIVILEGES" }, () =>
    inTransaction(work.admin, async () => {
      if (statements.length > 0) await work.admin.query(statements.join(";\n"));
    }),
  );
  await work.ledger.record(work.builder, CLEARED);
}
