/**
 * The catalog as facts, one line each: kind, schema, identity, attribute, value, as COPY text. Names instead of oids, so
 * that two databases can be compared; sorted by the bytes of kind, identity and attribute in UTF-8, so that the
 * comparison merges two streams and holds no more than one object.
 */
import { CODE_FACTS } from "./code.ts";
import type { FactQuery } from "./query.ts";
import { RELATION_FACTS } from "./relations.ts";
import { RIGHTS_FACTS } from "./rights.ts";
import { SERVER_FACTS } from "./server.ts";

export { EFFECTIVE } from "./rights.ts";

const QUERIES: readonly FactQuery[] = [
  ...CODE_FACTS,
  ...RELATION_FACTS,
  ...RIGHTS_FACTS,
  ...SERVER_FACTS,
].toSorted((a, b) => (a.kind < b.kind ? -1 : 1));

/** Which words need quotes differs from version to version: a name of plain letters has none here. */
const UNQUOTED = (column: string): string =>
  String.raw`regexp_replace(${column}, '(?<!")"([a-z_][a-z0-9_]*)"(?!")', '\1', 'g')`;

/** One COPY a kind, to be run one after the other; the session's search_path must be empty. */
export const CATALOG_FACTS: readonly { readonly kind: string; readonly copy: string }[] =
  QUERIES.map(({ kind, sql }) => ({
    kind,
    copy: `COPY (SELECT '${kind}', w.schema, w.identity, ${UNQUOTED("f.key")}, f.value
      FROM (SELECT q.schema, ${UNQUOTED("q.identity")} AS identity, q.facts FROM (${sql}) AS q) AS w, jsonb_each_text(w.facts) AS f
     WHERE f.value IS NOT NULL
     ORDER BY convert_to(w.identity, 'UTF8'), convert_to(f.key, 'UTF8')) TO STDOUT`,
  }));
