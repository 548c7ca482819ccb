import type { Connection } from "../../postgres/index.ts";
import type { TocEntry } from "../archive/toc.ts";
import { readEntriesThere } from "../furniture.ts";
import { mappingOf } from "./compose.ts";

/** What of the items the target holds, told by its catalog in the words of `pg_dump`. Read, never written. */

const ACTING = `
SELECT 'EVENT TRIGGER' AS kind, '' AS schema, evtname::text AS tag FROM pg_event_trigger
UNION ALL SELECT 'PUBLICATION', '', pubname::text FROM pg_publication
UNION ALL SELECT 'PUBLICATION TABLE', n.nspname, p.pubname || ' ' || c.relname
  FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid
  JOIN pg_class AS c ON c.oid = r.prrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
UNION ALL SELECT 'SUBSCRIPTION', '', subname::text FROM pg_subscription
   WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL SELECT 'SERVER', '', srvname::text FROM pg_foreign_server
UNION ALL SELECT 'USER MAPPING', srvname::text, CASE WHEN umuser = 0 THEN '' ELSE 'of ' || usename END FROM pg_user_mappings
UNION ALL SELECT 'RULE', n.nspname, c.relname || ' ' || r.rulename
  FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class JOIN pg_namespace AS n ON n.oid = c.relnamespace`;

/** Schemas in publications exist since 15. */
const SCHEMAS = `
SELECT 'PUBLICATION TABLES IN SCHEMA' AS kind, n.nspname AS schema, p.pubname || ' ' || n.nspname AS tag
  FROM pg_publication_namespace AS r JOIN pg_publication AS p ON p.oid = r.pnpubid
  JOIN pg_namespace AS n ON n.oid = r.pnnspid`;

/** `undefined`: not to be told (comments, grants); never counted as missing or as there. */
export type EntryThere = (entry: TocEntry) => boolean | undefined;

export async function readThere(inside: Connection): Promise<EntryThere> {
  const built = await readEntriesThere(inside);
  const acting = [
    ...(await inside.query<Named>(ACTING)),
    ...(inside.versionNum < 150_000 ? [] : await inside.query<Named>(SCHEMAS)),
  ];
  const there = new Set(acting.map(keyOf));
  return (entry) => {
    const { kind, schema = "", tag } = entry;
    if (kind === "USER MAPPING") {
      const mapping = mappingOf(entry.definition);
      if (mapping === undefined) return undefined;
      const user = mapping.user === undefined ? "" : `of ${mapping.user}`;
      return there.has(keyOf({ kind, schema: mapping.server, tag: user }));
    }
    const placed = kind === "RULE" || kind.startsWith("PUBLICATION TABLE") ? schema : "";
    if (ACTING_KINDS.has(kind)) return there.has(keyOf({ kind, schema: placed, tag }));
    return built(entry);
  };
}

const ACTING_KINDS: ReadonlySet<string> = new Set([
  "EVENT TRIGGER",
  "PUBLICATION",
  "PUBLICATION TABLE",
  "PUBLICATION TABLES IN SCHEMA",
  "SUBSCRIPTION",
  "SERVER",
  "RULE",
]);

interface Named extends Record<string, unknown> {
  readonly kind: string;
  readonly schema: string;
  readonly tag: string;
}

function keyOf({ kind, schema, tag }: Named): string {
  return JSON.stringify([kind, schema, tag]);
}
