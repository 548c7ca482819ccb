import { describe, expect, test } from "vitest";
import type { Manifest, TableManifest } from "../../manifest/index.ts";
import { chooseRows, readKeys, readRowNames } from "./choose.ts";
import type { NamedRows } from "./choose.ts";

const named = (more: Partial<NamedRows>): NamedRows => ({
  tables: [],
  keys: [],
  conditions: [],
  ...more,
});

const refusal = (code: string): unknown => expect.objectContaining({ code });

describe("keys on a command line", () => {
  test.for<readonly [text: string, keys: unknown]>([
    ["17, 18", [["17"], ["18"]]],
    ["", [[""]]],
    ['["a,b", "[x"]', [["a,b"], ["[x"]]],
    [
      '[["a", 1], ["b", 2.5]]',
      [
        ["a", "1"],
        ["b", "2.5"],
      ],
    ],
    ["[true]", [["true"]]],
  ])("%j", ([text, keys]) => {
    expect(readKeys(text)).toEqual(keys);
  });

  test.for(["[", "[null]", "[9007199254740993]", '[{"a": 1}]'])("%j are none", (text) => {
    expect(() => readKeys(text)).toThrow(refusal("operation.rows_option"));
  });
});

describe("rows on a command line", () => {
  test("name their tables, each once", () => {
    const names = readRowNames(
      named({
        tables: ["orders", '"a=b".t'],
        keys: ["public.orders=1", "items=2"],
        conditions: ['"a=b".t=x = 1'],
      }),
    );
    expect(names).toEqual([
      { schema: "public", name: "orders" },
      { schema: "a=b", name: "t" },
      { schema: "public", name: "items" },
    ]);
  });

  test.for<readonly [name: string, more: Partial<NamedRows>]>([
    ["nothing", {}],
    ["no name of a table", { tables: ["a.b.c"] }],
    ["a key without values", { keys: ["orders="] }],
    ["a key without a table", { keys: ["17"] }],
    ["a condition without one", { conditions: ["orders"] }],
  ])("refused: %s", ([, more]) => {
    expect(() => readRowNames(named(more))).toThrow(refusal("operation.rows_option"));
  });

  test("of a partitioned table are those of its partitions, chosen by one choice", () => {
    const table = (name: string, more: object = {}): unknown => ({
      schema: "public",
      name,
      columns: [],
      parts: [],
      ...more,
    });
    const partitionOf = { schema: "public", name: "events" };
    const tables = [table("a", { partitionOf }), table("b", { partitionOf }), table("orders")];
    // Of a manifest only what is looked at.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    const manifest = { database: { tables } } as unknown as Manifest;
    const rows = named({ tables: ["orders"], keys: ["events=1"], conditions: ["events=id > 7"] });
    const chosen = chooseRows(manifest, readRowNames(rows), rows);
    expect(chosen.map(({ table: one }: { table: TableManifest }) => one.name)).toEqual([
      "orders",
      "a",
      "b",
    ]);
    expect(chosen[0]).not.toHaveProperty("rows");
    expect(chosen[1]?.rows).toEqual({
      table: { schema: "public", name: "events" },
      keys: [["1"]],
      condition: "(\nid > 7\n)",
    });
    expect(chosen[2]?.rows).toBe(chosen[1]?.rows);
    const none = named({ tables: ["missing"] });
    expect(() => chooseRows(manifest, readRowNames(none), none)).toThrow(
      refusal("operation.table_not_in_snapshot"),
    );
  });
});
