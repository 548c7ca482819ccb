import type { DatabaseManifest } from "../../manifest/index.ts";
import { displayName } from "../../source/index.ts";

/** How much a point holds of each table, from its manifest alone. */

export interface Size {
  readonly rows: bigint;
  /** As stored: COPY text or binary, before compression. */
  readonly bytes: bigint;
  /** Bytes of two formats are not compared: a bytea is twice as long in text. Of a partitioned table the formats of its partitions. */
  readonly format: string;
}

export interface TableSize extends Size {
  /** As people are told it. */
  readonly name: string;
  /** Of a partition: the name of the partitioned table above all others. */
  readonly root?: string;
}

export interface PointSizes {
  readonly tables: ReadonlyMap<string, TableSize>;
  /** Partitioned tables by name: their partitions. */
  readonly roots: ReadonlyMap<string, readonly TableSize[]>;
  readonly largeObjects: Size;
}

export function sizesOf(database: Pick<DatabaseManifest, "tables" | "largeObjects">): PointSizes {
  const tables = database.tables.map((table): TableSize => {
    const { rows, format, partitionOf } = table;
    const bytes = table.parts.reduce((sum, part) => sum + BigInt(part.sizeBytes), 0n);
    const size = { name: displayName(table), rows: BigInt(rows), bytes, format };
    return partitionOf === undefined ? size : { ...size, root: displayName(partitionOf) };
  });
  const { largeObjects } = database;
  return {
    tables: new Map(tables.map((table) => [table.name, table])),
    roots: byRoot(tables),
    largeObjects: {
      rows: BigInt(largeObjects.length),
      bytes: largeObjects.reduce((sum, { sizeBytes }) => sum + BigInt(sizeBytes), 0n),
      format: "binary",
    },
  };
}

/** Of a plan of some tables those that it names today: one that the policy no longer names is not gone. */
export function namedOf(
  { tables, largeObjects }: PointSizes,
  { limitedTo, leftTo = [] }: Pick<DatabaseManifest, "limitedTo" | "leftTo">,
): PointSizes {
  if (limitedTo === undefined) {
    // Whose rows the plan leaves to another one now: they are not gone.
    const left = new Set(leftTo.flatMap((one) => [one, ...one.tables]).map(displayName));
    const rest = [...tables].filter(
      ([name, { root }]) => !left.has(name) && (root === undefined || !left.has(root)),
    );
    return { tables: new Map(rest), roots: byRoot(rest.map(([, size]) => size)), largeObjects };
  }
  const named = new Set(limitedTo.named.map(displayName));
  const kept = [...tables.values()].filter(
    ({ name, root }) => named.has(name) || (root !== undefined && named.has(root)),
  );
  const none = { ...largeObjects, rows: 0n, bytes: 0n };
  return {
    tables: new Map(kept.map((table) => [table.name, table])),
    roots: byRoot(kept),
    largeObjects: none,
  };
}

function byRoot(tables: readonly TableSize[]): ReadonlyMap<string, readonly TableSize[]> {
  const roots = new Map<string, TableSize[]>();
  for (const table of tables) {
    if (table.root === undefined) continue;
    const partitions = roots.get(table.root);
    if (partitions === undefined) roots.set(table.root, [table]);
    else partitions.push(table);
  }
  return roots;
}

export function sumOf(sizes: Iterable<Size>): Size {
  let [rows, bytes] = [0n, 0n];
  const formats = new Set<string>();
  for (const size of sizes) {
    rows += size.rows;
    bytes += size.bytes;
    formats.add(size.format);
  }
  return { rows, bytes, format: [...formats].toSorted().join(" and ") };
}
