import { quoteIdentifier } from "../postgres/index.ts";
import { describeEntry } from "./archive/sort.ts";
import type { TocEntry } from "./archive/toc.ts";
import { orIssue, rethrowFatal } from "./context.ts";
import type { Work } from "./context.ts";
import { parseGrants } from "./grants.ts";
import type { GrantStatement } from "./grants.ts";
import { rightsToLend } from "./lent-rights.ts";
import type { Placed } from "./lent-rights.ts";
import { MARKER_SCHEMA, OWNERS_BEGUN, inTransaction } from "./ledger.ts";

/** Each object to its owner, then the grants: by the admin, with statements of our own making (R4). */

const OWNERS_DONE = "step:owners";
const BATCH = 200;

/** What the builder made and still owns, with the owner that the archive names. Read by the builder. */
const OWNED = `
SELECT o.classid::pg_catalog.int8::text AS classid, o.objid::pg_catalog.int8::text AS objid, o.owner
  FROM ${MARKER_SCHEMA}.owned AS o`;

/** Names as the target's own catalog quotes them. */
export const IDENTIFIED = `
SELECT w.n AS n, i.type AS type, i.identity AS identity, s.nspname::text AS schema
  FROM unnest($1::int8[], $2::int8[]) WITH ORDINALITY AS w(classid, objid, n)
 CROSS JOIN LATERAL pg_identify_object(w.classid::oid, w.objid::oid, 0) AS i
  LEFT JOIN pg_namespace AS s ON quote_ident(s.nspname) = i.schema
 WHERE i.type IS NOT NULL AND i.identity IS NOT NULL`;

/** `pg_identify_object`'s words to those of ALTER … OWNER TO. Schemas and tables first: others follow their owners. */
export const ALTERABLE: ReadonlyMap<string, string> = new Map([
  ["schema", "SCHEMA"],
  ["table", "TABLE"],
  ["foreign table", "FOREIGN TABLE"],
  ["view", "VIEW"],
  ["materialized view", "MATERIALIZED VIEW"],
  ["sequence", "SEQUENCE"],
  ["type", "TYPE"],
  ["composite type", "TYPE"],
  ["domain", "TYPE"],
  ["function", "FUNCTION"],
  ["procedure", "PROCEDURE"],
  ["aggregate", "AGGREGATE"],
  ["operator", "OPERATOR"],
  ["operator class", "OPERATOR CLASS"],
  ["operator family", "OPERATOR FAMILY"],
  ["collation", "COLLATION"],
  ["conversion", "CONVERSION"],
  ["statistics object", "STATISTICS"],
  ["text search dictionary", "TEXT SEARCH DICTIONARY"],
  ["text search configuration", "TEXT SEARCH CONFIGURATION"],
  ["foreign-data wrapper", "FOREIGN DATA WRAPPER"],
  ["server", "SERVER"],
  ["language", "LANGUAGE"],
  ["large object", "LARGE OBJECT"],
]);

interface Assignment extends Placed {
  readonly object: string;
  readonly rank: number;
  readonly sql: string;
}

export async function restoreOwners(work: Work): Promise<void> {
  if (work.ledger.has(OWNERS_DONE)) return;
  await work.ledger.record(work.builder, OWNERS_BEGUN);
  const assignments = [...(await readAssignments(work)), ...schemaOwners(work)];
  assignments.sort((a, b) => a.rank - b.rank);
  const schemas = assignments.filter(({ schema }) => schema === undefined);
  const others = assignments.filter(({ schema }) => schema !== undefined);
  for (const kind of [schemas, others])
    for (let at = 0; at < kind.length; at += BATCH) await assign(work, kind.slice(at, at + BATCH));
  await restoreGrants(work);
  await work.ledger.record(work.builder, OWNERS_DONE);
}

async function readAssignments(work: Work): Promise<Assignment[]> {
  const owners = ownersOf(work);
  const rows = await work.builder.query<{ classid: string; objid: string; owner: string }>(OWNED);
  // The table is the builder's, so a hostile function may have written it: only the archive's owners count.
  const known = rows.filter((row) => owners.has(row.owner) && mayOwn(work, row.owner));
  const identified = await work.admin.query<{
    n: string;
    type: string;
    identity: string;
    schema: string | null;
  }>(IDENTIFIED, [known.map((row) => row.classid), known.map((row) => row.objid)]);
  const kinds = [...ALTERABLE.keys()];
  return identified.flatMap(({ n, type, identity, schema }) => {
    const owner = known[Number(n) - 1]?.owner;
    const keyword = ALTERABLE.get(type);
    if (owner === undefined || keyword === undefined) return [];
    return {
      schema: schema ?? undefined,
      owner,
      object: `${keyword} ${identity}`,
      rank: kinds.indexOf(type),
      sql: `ALTER ${keyword} ${identity} OWNER TO ${quoteIdentifier(owner)}`,
    };
  });
}

/** A schema that is there from the beginning (`public`) is not made by us, but has an owner in the archive. */
function schemaOwners(work: Work): Assignment[] {
  return work.archive.preData
    .filter((entry) => entry.kind === "SCHEMA" && entry.definition.startsWith("--"))
    .filter((entry) => entry.owner !== "" && mayOwn(work, entry.owner))
    .map((entry) => ({
      schema: undefined,
      owner: entry.owner,
      object: `SCHEMA ${entry.tag}`,
      rank: 0,
      sql: `ALTER SCHEMA ${quoteIdentifier(entry.tag)} OWNER TO ${quoteIdentifier(entry.owner)}`,
    }));
}

function ownersOf(work: Work): ReadonlySet<string> {
  const { largeObjects } = work.options.manifest.database;
  return new Set([
    ...[...work.archive.preData, ...work.archive.postData].map((entry) => entry.owner),
    ...largeObjects.map((object) => object.owner),
  ]);
}

/** Never a superuser, nor who can become one, unless the source is trusted (R5). The plan refused already; this holds. */
function mayOwn(work: Work, owner: string): boolean {
  return work.options.trustSource || work.target.roles.get(owner)?.powerful !== true;
}

async function assign(work: Work, batch: readonly Assignment[]): Promise<void> {
  try {
    await give(work, batch);
  } catch (error) {
    rethrowFatal(error);
    for (const one of batch) {
      const { object, sql } = one;
      const issue = { code: "owner_not_set", object, hint: `As a superuser run: ${sql}.` };
      await orIssue(work, issue, () => give(work, [one]));
    }
  }
}

function give({ admin, target }: Work, batch: readonly Assignment[]): Promise<void> {
  return inTransaction(admin, async () => {
    const lent = target.superuser ? { grants: [], revokes: [] } : await rightsToLend(admin, batch);
    const alters = batch.map(({ sql }) => sql);
    await admin.query([...lent.grants, ...alters, ...lent.revokes].join(";\n"));
  });
}

async function restoreGrants(work: Work): Promise<void> {
  for (const entry of work.archive.grants.filter((grant) => !isOfDatabase(grant))) {
    await runGrant(work, entry);
  }
  for (const entry of work.archive.addedGrants) await runGrant(work, entry, isAdded(work));
  await restoreLargeObjectGrants(work);
}

/** The database belongs to its owner only at the very end, and so do its grants. */
export async function restoreDatabaseGrants(work: Work): Promise<void> {
  for (const entry of work.archive.grants.filter(isOfDatabase)) await runGrant(work, entry);
}

function isOfDatabase(entry: TocEntry): boolean {
  return entry.kind === "ACL" && entry.tag.startsWith("DATABASE ");
}

/** On objects of the platform: what a customer gave to roles of their own. The platform's own grants are there. */
function isAdded({ platform }: Work): (grant: GrantStatement) => boolean {
  return ({ verb, grantees }) =>
    platform !== undefined &&
    verb === "GRANT" &&
    grantees.every(
      (name) => name !== "public" && name !== platform.customer && !platform.isRole(name),
    );
}

export async function runGrant(
  work: Work,
  entry: TocEntry,
  isWanted: (grant: GrantStatement) => boolean = () => true,
): Promise<void> {
  const object = describeEntry(entry);
  const grants = parseGrants(entry.definition, {
    sourceDatabase: work.archiveDatabase,
    targetDatabase: work.target.databaseName,
  });
  if (grants === undefined) {
    work.issues.push({
      code: "grant_not_understood",
      object,
      message: "grants outside the grammar that pg_dump writes",
      hint: "Read them with pg_restore --file=- and run them by hand.",
    });
    return;
  }
  const allowed = grants.filter((grant) => isWanted(grant) && isAllowed(work, object, grant));
  if (allowed.length === 0) return;
  await orIssue(work, { code: "grant_failed", object }, () =>
    inTransaction(work.admin, async () => {
      await work.admin.query(allowed.map(grantText).join(";\n"));
    }),
  );
}

function isAllowed(work: Work, object: string, grant: GrantStatement): boolean {
  if (work.options.trustSource) return true;
  if (grant.system) {
    work.withheld.push({ object, reason: "a grant on an object of the system" });
    return false;
  }
  const acting = grant.defaultsOf ?? grant.grantor;
  if (acting === undefined || work.target.roles.get(acting)?.powerful !== true) return true;
  work.withheld.push({ object, reason: `given by ${acting}, who is a superuser here` });
  return false;
}

function grantText(grant: GrantStatement): string {
  if (grant.grantor === undefined) return grant.sql;
  return `SET LOCAL ROLE ${quoteIdentifier(grant.grantor)};\n${grant.sql};\nSET LOCAL ROLE NONE`;
}

/** The source's `aclitem[]`, read by the target: only its names and letters go on, each grant by who gave it. */
const LARGE_OBJECT_RIGHTS = `
SELECT CASE WHEN a.grantee = 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END AS grantee,
       pg_get_userbyid(a.grantor) AS grantor, a.privilege_type AS privilege, a.is_grantable AS grantable
  FROM aclexplode($1::aclitem[]) AS a`;

async function restoreLargeObjectGrants(work: Work): Promise<void> {
  for (const { acl, oid, owner } of work.options.manifest.database.largeObjects) {
    if (acl === undefined) continue;
    await orIssue(work, { code: "grant_failed", object: `LARGE OBJECT ${oid}` }, async () => {
      const rights = await work.admin.query<{
        grantee: string | null;
        grantor: string;
        privilege: string;
        grantable: boolean;
      }>(LARGE_OBJECT_RIGHTS, [acl]);
      const statements = rights
        .filter((right) => right.grantee !== owner && mayOwn(work, right.grantor))
        .map(({ grantee, grantor, privilege, grantable }) => {
          const to = grantee === null ? "PUBLIC" : quoteIdentifier(grantee);
          const right = privilege === "UPDATE" ? "UPDATE" : "SELECT";
          const option = grantable ? " WITH GRANT OPTION" : "";
          return `SET LOCAL ROLE ${quoteIdentifier(grantor)};
            GRANT ${right} ON LARGE OBJECT ${oid} TO ${to}${option};
            SET LOCAL ROLE NONE`;
        });
      if (statements.length === 0) return;
      await inTransaction(work.admin, async () => {
        await work.admin.query(statements.join(";\n"));
      });
    });
  }
}
