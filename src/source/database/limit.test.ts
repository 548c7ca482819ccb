import { describe, expect, test } from "vitest";
import { limitTo } from "./limit.ts";
import type { ForeignKey, LimitFacts } from "./limit.ts";
import type { Relation } from "./relations.ts";

function relation(oid: number, name: string, more: Partial<Relation> = {}): Relation {
  return {
    oid,
    schema: "public",
    name,
    kind: "table",
    unlogged: false,
    fileNode: String(oid),
    heap: true,
    readable: true,
    rowSecurity: false,
    parents: [],
    columns: [],
    ...more,
  };
}

const RELATIONS = [
  relation(1, "a"),
  relation(2, "b"),
  relation(3, "root", { kind: "partitioned" }),
  relation(4, "leaf1", { parents: [3] }),
  relation(5, "middle", { parents: [3], kind: "partitioned" }),
  relation(6, "leaf2", { parents: [5] }),
  relation(7, "far", { parents: [5], kind: "foreign" }),
  relation(8, "parent"),
  relation(9, "child", { parents: [8] }),
  relation(10, "theirs", { extension: "ext" }),
  relation(11, "config", { extension: "ext", extensionCondition: "" }),
  relation(12, "whole", { kind: "partitioned" }),
  relation(13, "only", { parents: [12] }),
];

function key(name: string, from: number, to: number): ForeignKey {
  return { schema: "public", table: String(from), name, from, to };
}

const FACTS: LimitFacts = {
  foreignKeys: [
    key("a_b", 1, 2),
    key("a_a", 1, 1),
    key("b_a", 2, 1),
    key("a_root", 1, 3),
    key("root_a", 3, 1),
    key("a_unknown", 1, 99),
    key("config_whole", 11, 12),
  ],
  otherKinds: new Map([["public.v", "view"]]),
  sequences: new Map([
    ["public.a_seq", [1]],
    ["public.b_seq", [2]],
    ["public.root_seq", [3]],
  ]),
};

function limited(...names: string[]): ReturnType<typeof limitTo> {
  const named = names.map((name) => ({ schema: "public", name }));
  return limitTo(named, RELATIONS, FACTS);
}

describe("what names mean", () => {
  test.for([
    { name: "a", oids: [1] },
    { name: "root", oids: [4, 6] },
    { name: "middle", oids: [6] },
    { name: "leaf1", oids: [4] },
    { name: "parent", oids: [8, 9] },
    { name: "child", oids: [9] },
    { name: "config", oids: [11] },
  ])("$name", ({ name, oids }) => {
    const limit = limited(name);
    expect([...limit.selected].toSorted((x, y) => x - y)).toEqual(oids);
    expect(limit.issues).toEqual([]);
  });

  test.for([
    { name: "nothing", code: "table_missing" },
    { name: "v", code: "table_not_captured" },
    { name: "far", code: "table_not_captured" },
    { name: "theirs", code: "table_not_captured" },
  ])("$name stands for no rows", ({ name, code }) => {
    const limit = limited(name, "a");
    expect(limit.issues).toMatchObject([{ code, object: `public.${name}` }]);
    expect(limit.limits.named[0]).toEqual({ schema: "public", name, tables: [] });
    expect([...limit.selected]).toEqual([1]);
  });
});

describe("foreign keys that cannot hold", () => {
  const keys = (...names: string[]): readonly string[] =>
    limited(...names).limits.foreignKeys.map(({ name }) => name);

  test("those to tables without all of their rows", () => {
    expect(keys("a")).toEqual(["a_b", "a_root", "a_unknown"]);
    expect(keys("a", "b")).toEqual(["a_root", "a_unknown"]);
    // One of the partitions is elsewhere, so not all rows can be here.
    expect(keys("a", "b", "root")).toEqual(["a_root", "a_unknown"]);
    expect(keys("leaf1")).toEqual(["root_a"]);
    expect(keys("leaf1", "a", "b")).toEqual(["a_root", "a_unknown"]);
    expect(keys("parent")).toEqual([]);
    expect(keys("config")).toEqual(["config_whole"]);
    expect(keys("config", "whole")).toEqual([]);
    expect(keys("config", "only")).toEqual([]);
  });
});

test("sequences of the captured tables and of those above them", () => {
  const used = (...names: string[]): readonly string[] =>
    ["a_seq", "b_seq", "root_seq", "free"].filter((name) =>
      limited(...names).usesSequence({ schema: "public", name }),
    );
  expect(used("a")).toEqual(["a_seq"]);
  expect(used("leaf2", "b")).toEqual(["b_seq", "root_seq"]);
});
