import type { CatalogObject } from "./read-facts.ts";
import { compareObjects } from "./read-facts.ts";

/** One attribute of one object that is not the same at both ends; `exists` where one end lacks the object. */
export interface FactDifference {
  readonly kind: string;
  readonly schema: string;
  readonly identity: string;
  readonly attribute: string;
  /** As it was captured; `undefined`: not there. */
  readonly captured: string | undefined;
  /** As it stands. */
  readonly found: string | undefined;
  readonly capturedObject: CatalogObject | undefined;
  readonly foundObject: CatalogObject | undefined;
}

export const EXISTS = "exists";

/** Merges two sorted streams; holds one object of each. */
export async function* compareFacts(
  captured: AsyncIterator<CatalogObject>,
  found: AsyncIterator<CatalogObject>,
): AsyncGenerator<FactDifference, void, undefined> {
  let [a, b] = [await nextOf(captured), await nextOf(found)];
  while (a !== undefined || b !== undefined) {
    const order = a === undefined ? 1 : b === undefined ? -1 : compareObjects(a, b);
    if (order === 0 && a !== undefined && b !== undefined) yield* attributesOf(a, b);
    if (order < 0 && a !== undefined) yield oneSided(a, a, undefined);
    if (order > 0 && b !== undefined) yield oneSided(b, undefined, b);
    if (order <= 0) a = await nextOf(captured);
    if (order >= 0) b = await nextOf(found);
  }
}

async function nextOf(objects: AsyncIterator<CatalogObject>): Promise<CatalogObject | undefined> {
  const next = await objects.next();
  return next.done === true ? undefined : next.value;
}

function oneSided(
  object: CatalogObject,
  captured: CatalogObject | undefined,
  found: CatalogObject | undefined,
): FactDifference {
  return {
    ...named(object),
    attribute: EXISTS,
    captured: captured === undefined ? undefined : "yes",
    found: found === undefined ? undefined : "yes",
    capturedObject: captured,
    foundObject: found,
  };
}

function* attributesOf(a: CatalogObject, b: CatalogObject): Generator<FactDifference> {
  for (const attribute of new Set([...a.facts.keys(), ...b.facts.keys()])) {
    const [captured, found] = [a.facts.get(attribute), b.facts.get(attribute)];
    if (captured === found) continue;
    yield { ...named(a), attribute, captured, found, capturedObject: a, foundObject: b };
  }
}

function named({
  kind,
  schema,
  identity,
}: CatalogObject): Pick<FactDifference, "kind" | "schema" | "identity"> {
  return { kind, schema, identity };
}
