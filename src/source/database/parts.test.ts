import { assert as check, integer, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { addHashes } from "../../manifest/index.ts";
import { copyStatement } from "./copy-part.ts";
import { orderByDependency } from "./order.ts";
import { chunksOf, partName, rangeCondition, splitByPages } from "./parts.ts";
import type { Relation } from "./relations.ts";

const MIB = 1024 * 1024;

describe("splitting by pages", () => {
  test("a table within the bound stays whole", () => {
    expect(
      splitByPages({ heapBytes: 10 * MIB, toastBytes: 0, blockBytes: 8192, splitBytes: 10 * MIB }),
    ).toBeUndefined();
    expect(
      splitByPages({ heapBytes: 8192, toastBytes: 900 * MIB, blockBytes: 8192, splitBytes: MIB }),
    ).toBeUndefined();
  });

  test("TOAST counts: a small heap with much of it is cut finer", () => {
    const heapBytes = 64 * MIB;
    const without = splitByPages({
      heapBytes,
      toastBytes: 0,
      blockBytes: 8192,
      splitBytes: 32 * MIB,
    });
    const with_ = splitByPages({
      heapBytes,
      toastBytes: 64 * MIB,
      blockBytes: 8192,
      splitBytes: 32 * MIB,
    });
    expect([without?.length, with_?.length]).toEqual([2, 4]);
  });

  test("the ranges follow each other without a gap, and the last one is open", () => {
    const bytes = integer({ min: 1, max: 1024 });
    check(
      property(bytes, bytes, bytes, (heap, toast, split) => {
        const input = {
          heapBytes: heap * MIB,
          toastBytes: toast * MIB,
          blockBytes: 8192,
          splitBytes: split * MIB,
        };
        const ranges = splitByPages(input) ?? [{ fromPage: 0 }];
        expect(ranges[0]?.fromPage).toBe(0);
        expect(ranges.at(-1)?.toPage).toBeUndefined();
        for (let i = 1; i < ranges.length; i += 1) {
          expect(ranges[i]?.fromPage).toBe(ranges[i - 1]?.toPage);
        }
      }),
    );
  });

  test("a table that grew by a tenth is cut at the same places", () => {
    const cut = (heapBytes: number): unknown =>
      splitByPages({ heapBytes, toastBytes: 0, blockBytes: 8192, splitBytes: 100 * MIB })?.slice(
        0,
        8,
      );
    expect(cut(1000 * MIB)).toEqual(cut(1100 * MIB));
  });

  test("as SQL, and as names", () => {
    expect(rangeCondition({ fromPage: 0, toPage: 64 })).toBe(
      "ctid >= '(0,0)'::pg_catalog.tid AND ctid < '(64,0)'::pg_catalog.tid",
    );
    expect(rangeCondition({ fromPage: 64 })).toBe("ctid >= '(64,0)'::pg_catalog.tid");
    expect([partName(3, "text"), partName(12_345, "binary")]).toEqual([
      "0003.copy",
      "12345.copy-binary",
    ]);
  });
});

describe("the COPY statement", () => {
  const relation = (columns: readonly string[], extra: Partial<Relation> = {}): Relation => ({
    oid: 1,
    schema: "was",
    name: "renamed",
    kind: "table",
    unlogged: false,
    fileNode: "1",
    heap: true,
    readable: true,
    rowSecurity: false,
    parents: [],
    columns: columns.map((name, i) => ({ number: i + 1, name, type: "text" })),
    ...extra,
  });
  const current = { schema: "s", name: 'a"b' };

  test("whole tables by name, with their columns", () => {
    expect(copyStatement({ table: relation(["x", "y z"]), format: "text" }, current)).toBe(
      'COPY "s"."a""b" ("x", "y z") TO STDOUT',
    );
    expect(copyStatement({ table: relation(["x"]), format: "binary" }, current)).toBe(
      'COPY "s"."a""b" ("x") TO STDOUT (FORMAT binary)',
    );
  });

  test("parts, tables without columns and an extension's rows by a query on the table ONLY", () => {
    const range = { fromPage: 4 };
    expect(copyStatement({ table: relation(["x"]), format: "text", range }, current)).toBe(
      `COPY (SELECT "x" FROM ONLY "s"."a""b" WHERE ctid >= '(4,0)'::pg_catalog.tid) TO STDOUT`,
    );
    expect(copyStatement({ table: relation([]), format: "text" }, current)).toBe(
      'COPY (SELECT  FROM ONLY "s"."a""b" ) TO STDOUT',
    );
    const config = relation(["x"], { extension: "e", extensionCondition: "WHERE x > 1" });
    expect(copyStatement({ table: config, format: "text" }, current)).toBe(
      'COPY (SELECT "x" FROM ONLY "s"."a""b" WHERE x > 1) TO STDOUT',
    );
  });
});

describe("order of dependency", () => {
  test("through nodes that are not asked for; a circle is cut", () => {
    const reads = new Map([
      ["a", ["v1"]],
      ["v1", ["b", "c"]],
      ["c", ["b"]],
      ["x", ["y"]],
      ["y", ["x"]],
    ]);
    const order = orderByDependency(["a", "b", "c", "x", "y"], (node) => reads.get(node) ?? []);
    expect(order.indexOf("b")).toBeLessThan(order.indexOf("c"));
    expect(order.indexOf("c")).toBeLessThan(order.indexOf("a"));
    expect(order.toSorted()).toEqual(["a", "b", "c", "x", "y"]);
  });

  test("a chain deeper than any call stack", () => {
    const nodes = Array.from({ length: 100_000 }, (_, i) => i);
    const order = orderByDependency(nodes, (node) => (node === 99_999 ? [] : [node + 1]));
    expect([order[0], order.at(-1)]).toEqual([99_999, 0]);
  });
});

test("hashes add up modulo 2^256", () => {
  expect(addHashes([])).toBe("0".repeat(64));
  expect(addHashes(["f".repeat(64), `${"0".repeat(63)}2`])).toBe(`${"0".repeat(63)}1`);
});

test("a table of up to 4 GiB, what lies in TOAST included, is cut finely", () => {
  expect(chunksOf({ heapBytes: 0, toastBytes: 0 })).toBe("small-table");
  expect(chunksOf({ heapBytes: 3 * 1024 * MIB, toastBytes: 1024 * MIB })).toBe("small-table");
  expect(chunksOf({ heapBytes: 3 * 1024 * MIB, toastBytes: 1024 * MIB + 1 })).toBe("table");
});
