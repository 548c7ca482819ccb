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

/** One COPY a kind, to be run one after the other; the session's search_path must be empty. */
export const CATALOG_FACTS: readonly { readonly kind: string; readonly copy: string }[] =
  QUERIES.map(({ kind, sql }) => ({
    kind,
    copy: `COPY (SELECT '${kind}', q.schema, q.identity, f.key, f.value
      FROM (${sql}) AS q, jsonb_each_text(q.facts) AS f
     WHERE f.value IS NOT NULL
     ORDER BY convert_to(q.identity, 'UTF8'), convert_to(f.key, 'UTF8')) TO STDOUT`,
  }));
