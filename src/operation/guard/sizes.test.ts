import { expect, test } from "vitest";
import type { DatabaseManifest, TableManifest } from "../../manifest/index.ts";
import { namedOf, sizesOf } from "./sizes.ts";

function table(name: string, root?: string): TableManifest {
  return {
    schema: "public",
    name,
    format: "text",
    unlogged: false,
    columns: [],
    rows: "7",
    rowHash: "",
    parts: [],
    ...(root === undefined ? {} : { partitionOf: { schema: "public", name: root } }),
  };
}

test("of a plan of some tables only those that it names today are compared", () => {
  const tables = [table("orders"), table("shops"), table("log_1", "log"), table("old_1", "old")];
  const sizes = sizesOf({ tables, largeObjects: [] });
  const named = ["orders", "log", "gone"].map((name) => ({ schema: "public", name, tables: [] }));
  const limited: Pick<DatabaseManifest, "limitedTo"> = { limitedTo: { named, foreignKeys: [] } };
  expect([...namedOf(sizes, limited).tables.keys()]).toEqual(["public.orders", "public.log_1"]);
  expect([...namedOf(sizes, limited).roots.keys()]).toEqual(["public.log"]);
  expect([...namedOf(sizes, {}).tables.keys()]).toHaveLength(4);
});
