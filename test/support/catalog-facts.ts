import { compareFacts, readFacts } from "../../src/manifest/index.ts";
import type { FactDifference } from "../../src/manifest/index.ts";
import { CATALOG_FACTS } from "../../src/postgres/index.ts";
import type { Connection } from "../../src/postgres/index.ts";

/** In the transaction that the connection is in. */
export async function factsOf(connection: Connection): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (const { copy } of CATALOG_FACTS)
    for await (const chunk of connection.copyOut(copy, { reuse: true }))
      parts.push(Buffer.from(chunk));
  return Buffer.concat(parts);
}

export async function differencesOfFacts(
  captured: Buffer,
  found: Buffer,
): Promise<readonly FactDifference[]> {
  const differences: FactDifference[] = [];
  for await (const one of compareFacts(readFacts(only(captured)), readFacts(only(found))))
    differences.push(one);
  return differences;
}

async function* only(bytes: Buffer): AsyncGenerator<Buffer> {
  yield await Promise.resolve(bytes);
}
