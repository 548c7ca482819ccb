import { platformNamed } from "../manifest/index.ts";
import type { Platform } from "../manifest/index.ts";
import { readPlatform } from "../postgres/index.ts";
import type { Connection } from "../postgres/index.ts";
import type { TocEntry } from "./archive/toc.ts";

/**
 * What a target of a platform holds before anything is restored: its schemas, roles and objects stay as they are. Which
 * of the archive's objects are there is asked of the catalog, by what `pg_dump` calls them. docs/spec/platform.md
 */
export interface Furniture {
  readonly platform: Platform;
  /** What becomes of an entry of the archive. */
  readonly decide: (entry: TocEntry) => Placement;
}

/** `grants`: of its statements those for roles that are not the platform's. */
export type Placement = "build" | "there" | "grants" | { readonly reason: string };

/** As `pg_dump` tags them: constraints, triggers and policies after their table, functions with their arguments' types. */
const THERE = `
SELECT 'relation' AS kind, n.nspname AS schema, c.relname::text AS tag
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_'
UNION ALL
SELECT 'constraint', n.nspname, c.relname || ' ' || o.conname
  FROM pg_constraint AS o JOIN pg_class AS c ON c.oid = o.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
UNION ALL
SELECT 'trigger', n.nspname, c.relname || ' ' || t.tgname
  FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE NOT t.tgisinternal
UNION ALL
SELECT 'policy', n.nspname, c.relname || ' ' || p.polname
  FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
UNION ALL
SELECT 'function', n.nspname, p.proname || '(' || array_to_string(ARRAY(
         SELECT format_type(a.type, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS a(type, n) ORDER BY a.n), ', ') || ')'
  FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE n.nspname !~ '^pg_'
UNION ALL
SELECT 'type', n.nspname, t.typname::text FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
 WHERE n.nspname !~ '^pg_'
UNION ALL
SELECT 'schema', '', nspname::text FROM pg_namespace
UNION ALL
SELECT 'extension', '', extname::text FROM pg_extension`;

const LOOKED_UP: Readonly<Record<string, string>> = {
  TABLE: "relation",
  VIEW: "relation",
  "MATERIALIZED VIEW": "relation",
  "FOREIGN TABLE": "relation",
  SEQUENCE: "relation",
  INDEX: "relation",
  CONSTRAINT: "constraint",
  "CHECK CONSTRAINT": "constraint",
  "FK CONSTRAINT": "constraint",
  TRIGGER: "trigger",
  POLICY: "policy",
  FUNCTION: "function",
  PROCEDURE: "function",
  AGGREGATE: "function",
  TYPE: "type",
  DOMAIN: "type",
  SCHEMA: "schema",
  EXTENSION: "extension",
};

/** Of a table of the platform, and made by a customer all the same: the table's owner says nothing about them. */
const ADDED_BY_CUSTOMERS: ReadonlySet<string> = new Set([
  "TRIGGER",
  "POLICY",
  "INDEX",
  "CONSTRAINT",
  "CHECK CONSTRAINT",
  "FK CONSTRAINT",
]);

/** `undefined` on a server of one's own. */
export async function readFurniture(inside: Connection): Promise<Furniture | undefined> {
  const name = await readPlatform(inside);
  if (name === undefined) return undefined;
  return furnitureOf(platformNamed(name), await readThere(inside));
}

type IsThere = (kind: string, schema: string, tag: string) => boolean;

async function readThere(inside: Connection): Promise<IsThere> {
  const rows = await inside.query<{ kind: string; schema: string; tag: string }>(THERE);
  const there = new Set(rows.map(({ kind, schema, tag }) => keyOf(kind, schema, tag)));
  return (kind, schema, tag) => there.has(keyOf(kind, schema, tag));
}

/** Whether the database holds what an entry of the archive makes; `undefined` for kinds that are not looked up. */
export async function readEntriesThere(
  inside: Connection,
): Promise<(entry: TocEntry) => boolean | undefined> {
  const isThere = await readThere(inside);
  return ({ kind, schema = "", tag }) => {
    const looked = LOOKED_UP[kind];
    if (looked === undefined) return undefined;
    return isThere(looked, looked === "schema" || looked === "extension" ? "" : schema, tag);
  };
}

function keyOf(kind: string, schema: string, tag: string): string {
  return JSON.stringify([kind, schema, tag]);
}

export function furnitureOf(
  platform: Platform,
  isThere: (kind: string, schema: string, tag: string) => boolean,
): Furniture {
  const has = ({ kind, schema = "", tag }: TocEntry): boolean => {
    const looked = LOOKED_UP[kind];
    return looked !== undefined && isThere(looked, looked === "schema" ? "" : schema, tag);
  };
  return {
    platform,
    decide: (entry) => {
      const { kind, owner } = entry;
      if (kind === "EXTENSION") return has(entry) ? "there" : "build";
      if (!isOfPlatform(platform, entry)) return "build";
      if (kind === "ACL") return "grants";
      if (ADDED_BY_CUSTOMERS.has(kind)) return has(entry) ? "there" : "build";
      if (has(entry)) return "there";
      if (LOOKED_UP[kind] === undefined) return "there";
      return platform.isRole(owner)
        ? { reason: `${platform.name}'s own, of another version than this project's` }
        : "build";
    },
  };
}

function isOfPlatform(platform: Platform, { kind, schema, tag, owner }: TocEntry): boolean {
  if (kind === "SCHEMA" && platform.isSchema(tag)) return true;
  if (kind === "ACL" && tag.startsWith("SCHEMA ")) return platform.isSchema(tag.slice(7));
  if (schema !== undefined && platform.isSchema(schema)) return true;
  return platform.isRole(owner);
}
