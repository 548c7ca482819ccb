import { quoteIdentifier } from "../../postgres/index.ts";
import type { TocEntry } from "../archive/toc.ts";
import { FRESH_SETTINGS } from "../context.ts";
import { restoreError } from "../errors.ts";
import { parseGrants } from "../grants.ts";
import { inTransaction } from "../ledger.ts";
import { ALTERABLE } from "../step-owners.ts";
import type { ReleaseFacts } from "./facts.ts";
import type { ArchiveItem } from "./items.ts";
import type { Hands } from "./releaser.ts";
import { composedStatements } from "./show.ts";

/** One item, entry by entry: each in a transaction of its own, what is there already left as it is. */

export interface RunOptions {
  readonly hands: Hands;
  readonly facts: ReleaseFacts;
  /** Name of the database as the archive writes it. */
  readonly archiveDatabase: string;
}

export async function runItem(item: ArchiveItem, options: RunOptions): Promise<void> {
  // By identity: an index is made by who has its view, so nothing is given away before everything is made.
  const gifts = new Map<string, string>();
  for (const entry of missingOf(item, options.facts)) {
    if (entry.kind === "ACL") await runGrants(entry, options);
    else {
      const composed = composedStatements(entry);
      if (composed === undefined) await build(entry, options, gifts);
      else await runByAdmin(entry, composed, options);
    }
  }
  if (gifts.size === 0) return;
  await inTransaction(options.hands.admin, async () => {
    for (const sql of gifts.values()) await options.hands.admin.query(sql);
  });
}

/** What cannot be told to be there (comments, grants) is run again: it changes nothing then. */
export function missingOf(item: ArchiveItem, facts: ReleaseFacts): readonly TocEntry[] {
  return item.entries.filter((entry) => facts.there(entry) !== true);
}

/** As who owned it at the source, where that is what makes it theirs. */
const AS_OWNER: ReadonlySet<string> = new Set(["TRIGGER", "RULE", "USER MAPPING"]);

async function runByAdmin(
  entry: TocEntry,
  statements: readonly string[],
  { hands, facts }: RunOptions,
): Promise<void> {
  const asOwner = facts.superuser && AS_OWNER.has(entry.kind);
  // An event trigger can only be a superuser's; a publication runs nothing, and is given to its owner.
  const isGiven = entry.kind === "PUBLICATION" && facts.superuser && facts.roles.has(entry.owner);
  await inTransaction(hands.admin, async () => {
    if (asOwner) await hands.admin.query(`SET LOCAL ROLE ${ownerOf(entry, facts)}`);
    for (const sql of statements) await hands.admin.query(sql);
    if (!isGiven) return;
    const owner = quoteIdentifier(entry.owner);
    await hands.admin.query(`ALTER PUBLICATION ${quoteIdentifier(entry.tag)} OWNER TO ${owner}`);
  });
}

/** Quoted. */
function ownerOf({ owner, kind }: TocEntry, facts: ReleaseFacts): string {
  const role = facts.roles.get(owner);
  if (role === undefined || role.powerful) {
    throw restoreError("object_refused", {
      message: `${kind.toLowerCase()} of ${JSON.stringify(owner)}, who ${role === undefined ? "is no role" : "is a superuser"} here`,
      hint: "Create it by hand.",
    });
  }
  return quoteIdentifier(owner);
}

/**
 * The archive's own text, by the builder. A superuser gives the temporary role what this one entry needs; what came of it
 * is noted for its owner, and what is not given away in the end goes with that role.
 */
async function build(
  entry: TocEntry,
  { hands, facts }: RunOptions,
  gifts: Map<string, string>,
): Promise<void> {
  const { admin, builder, role } = hands;
  const owner = facts.superuser ? ownerOf(entry, facts) : "";
  if (role !== undefined) await equip(admin, role, entry);
  await builder.query(FRESH_SETTINGS);
  await inTransaction(builder, async () => {
    await builder.query(`${entry.definition}\n`);
  });
  if (role === undefined) return;
  const made = await admin.query<{ type: string; identity: string }>(OWNED, [role]);
  for (const { type, identity } of made) {
    const keyword = ALTERABLE.get(type);
    const object = `${type} ${identity}`;
    if (keyword === undefined || gifts.has(object)) continue;
    gifts.set(object, `ALTER ${keyword} ${identity} OWNER TO ${owner}`);
  }
}

const OWNED = `
SELECT i.type, i.identity FROM pg_shdepend AS d CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) AS i
 WHERE d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND d.refclassid = 'pg_authid'::regclass AND d.refobjid = (SELECT oid FROM pg_roles WHERE rolname = $1)
   AND d.deptype = 'o' AND i.type IS NOT NULL AND i.identity IS NOT NULL`;

async function equip(
  admin: Hands["admin"],
  role: string,
  { schema, kind }: TocEntry,
): Promise<void> {
  const to = `TO ${quoteIdentifier(role)}`;
  const schemas = await admin.query<{ name: string }>(
    "SELECT nspname AS name FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'",
  );
  // Names are looked up in every schema; leave to read what is there nobody gives it.
  const statements = schemas.map(({ name }) => {
    const rights = name === schema ? "USAGE, CREATE" : "USAGE";
    return `GRANT ${rights} ON SCHEMA ${quoteIdentifier(name)} ${to}`;
  });
  if (kind === "SERVER" || kind === "FOREIGN TABLE") {
    const rows = await admin.query<{ sql: string }>(
      `SELECT format('FOREIGN DATA WRAPPER %I', fdwname) AS sql FROM pg_foreign_data_wrapper
       UNION ALL SELECT format('FOREIGN SERVER %I', srvname) FROM pg_foreign_server`,
    );
    statements.push(...rows.map(({ sql }) => `GRANT USAGE ON ${sql} ${to}`));
  }
  await inTransaction(admin, async () => {
    for (const sql of statements) await admin.query(sql);
  });
}

async function runGrants(entry: TocEntry, options: RunOptions): Promise<void> {
  const { hands, facts, archiveDatabase: sourceDatabase } = options;
  const grants = parseGrants(entry.definition, {
    sourceDatabase,
    targetDatabase: facts.databaseName,
  });
  if (grants === undefined) {
    throw restoreError("object_refused", {
      message: "grants outside the grammar that pg_dump writes",
      hint: "Read them with pg_restore --file=- and run them by hand.",
    });
  }
  await inTransaction(hands.admin, async () => {
    for (const { sql, grantor, system } of grants) {
      const isMighty = grantor !== undefined && facts.roles.get(grantor)?.powerful === true;
      if (system || isMighty) continue;
      const as = grantor === undefined ? "NONE" : quoteIdentifier(grantor);
      await hands.admin.query(`SET LOCAL ROLE ${as};\n${sql};\nSET LOCAL ROLE NONE`);
    }
  });
}
