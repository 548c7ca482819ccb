import type { Bytes } from "../../kernel/index.ts";
import { manifestError } from "../errors.ts";

/**
 * Catalog facts as they are stored: COPY text of five columns (kind, schema, identity, attribute, value) in UTF-8, sorted
 * by the bytes of kind and identity (docs/spec/catalog.md). Read one object at a time.
 */
export interface CatalogObject {
  readonly kind: string;
  /** Raw name of the schema that it is in; empty where it is in none. */
  readonly schema: string;
  readonly identity: string;
  readonly facts: ReadonlyMap<string, string>;
}

const ESCAPES: Readonly<Record<string, string>> = {
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};
/** A definition may be long; beyond this the file is not what we wrote. */
const LINE_MAX_BYTES = 256 * 1024 * 1024;

export async function* readFacts(
  chunks: AsyncIterable<Bytes>,
): AsyncGenerator<CatalogObject, void, undefined> {
  let current: (CatalogObject & { readonly facts: Map<string, string> }) | undefined;
  for await (const line of linesOf(chunks)) {
    const [kind, schema, identity, attribute, value, more] = line.split("\t").map(unescape);
    if (
      kind === undefined ||
      schema === undefined ||
      identity === undefined ||
      attribute === undefined ||
      value === undefined ||
      more !== undefined
    )
      throw damaged("a line that is no fact");
    if (current?.kind !== kind || current.identity !== identity) {
      if (current !== undefined) {
        if (compareObjects(current, { kind, identity }) > 0) throw damaged("facts out of order");
        yield current;
      }
      current = { kind, schema, identity, facts: new Map() };
    }
    current.facts.set(attribute, value);
  }
  if (current !== undefined) yield current;
}

/** As the server sorts them: by bytes, kind first. */
export function compareObjects(
  a: Pick<CatalogObject, "kind" | "identity">,
  b: Pick<CatalogObject, "kind" | "identity">,
): number {
  return (
    Buffer.compare(Buffer.from(a.kind), Buffer.from(b.kind)) ||
    Buffer.compare(Buffer.from(a.identity), Buffer.from(b.identity))
  );
}

async function* linesOf(chunks: AsyncIterable<Bytes>): AsyncGenerator<string, void, undefined> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      yield Buffer.concat([...rest, chunk.subarray(from, end)]).toString("utf8");
      rest = [];
      restBytes = 0;
      from = end + 1;
    }
    // A chunk is valid only until the next one is asked for.
    if (from < chunk.byteLength) rest.push(Buffer.from(chunk.subarray(from)));
    restBytes += chunk.byteLength - from;
    if (restBytes > LINE_MAX_BYTES) throw damaged("a line without an end");
  }
  if (rest.length > 0) throw damaged("a last line without its end");
}

function unescape(field: string): string {
  if (!field.includes("\\")) return field;
  return field.replaceAll(/\\(.)/gs, (_, letter: string) => ESCAPES[letter] ?? letter);
}

function damaged(what: string): Error {
  return manifestError("damaged", { message: `catalog facts with ${what}` });
}
