import { assert, integer, property, shuffledSubarray, string } from "fast-check";
import { expect, test } from "vitest";
import type { TocEntry } from "../../restore/index.ts";
import { schemaFiles } from "./files.ts";

function entry(
  dumpId: number,
  kind: string,
  tag: string,
  dependencies: readonly number[] = [],
  more: Partial<TocEntry> = {},
): TocEntry {
  return {
    dumpId,
    kind,
    tag,
    schema: "public",
    section: "pre-data",
    definition: `${kind} of ${tag};`,
    owner: "app",
    tablespace: undefined,
    accessMethod: undefined,
    catalogOid: 1259,
    oid: dumpId + 16_000,
    dependencies,
    ...more,
  };
}

const ENTRIES: readonly TocEntry[] = [
  entry(1, "TABLE", "a"),
  entry(2, "TABLE", "a b"),
  entry(3, "CONSTRAINT", "a b b_pkey", [2]),
  entry(4, "CONSTRAINT", "a a_pkey", [1]),
  // Points at both: whose it is says its name.
  entry(5, "FK CONSTRAINT", "a b fkey", [1, 2, 4]),
  entry(6, "INDEX", "by_note", [1]),
  entry(7, "COMMENT", "INDEX by_note", [6]),
  entry(8, "FUNCTION", "twice(integer)"),
  entry(9, "ACL", "FUNCTION twice(i integer)", [8]),
  entry(10, "FUNCTION", "also(integer)"),
  entry(11, "TRIGGER", "a stamp", [1, 8]),
  entry(12, "ENCODING", "ENCODING"),
  entry(13, "DATABASE", "shop"),
  entry(14, "SEQUENCE", "numbers"),
  entry(15, "SEQUENCE OWNED BY", "numbers", [14, 1]),
];

test("a part stands with its table, what is said of an object behind it, the rest by kind", () => {
  const files = schemaFiles({ entries: ENTRIES });
  const heads = [...files].map(([path, text]) => [
    path,
    ...text.split("\n").filter((line) => line.startsWith("-- ")),
  ]);
  expect(heads).toEqual([
    [
      "function.sql",
      "-- FUNCTION public.also(integer); owner app",
      "-- FUNCTION public.twice(integer); owner app",
      "-- ACL FUNCTION twice(i integer); owner app",
    ],
    ["sequence.sql", "-- SEQUENCE public.numbers; owner app"],
    ["sequence_owned_by.sql", "-- SEQUENCE OWNED BY public.numbers; owner app"],
    [
      "tables/public.a%20b.sql",
      "-- TABLE public.a b; owner app",
      "-- CONSTRAINT public.a b b_pkey; owner app",
      "-- FK CONSTRAINT public.a b fkey; owner app",
    ],
    [
      "tables/public.a.sql",
      "-- TABLE public.a; owner app",
      "-- CONSTRAINT public.a a_pkey; owner app",
      "-- INDEX public.by_note; owner app",
      "-- TRIGGER public.a stamp; owner app",
      "-- COMMENT INDEX by_note; owner app",
    ],
  ]);
});

test("neither the order of the dump nor its numbers change a byte", () => {
  const files = [...schemaFiles({ entries: ENTRIES })];
  assert(
    property(
      shuffledSubarray([...ENTRIES], { minLength: ENTRIES.length }),
      integer({ min: 1, max: 1_000 }),
      (shuffled, by) => {
        const moved = shuffled.map((one) => ({
          ...one,
          dumpId: one.dumpId + by,
          oid: one.oid + by,
          dependencies: one.dependencies.map((id) => id + by),
        }));
        expect([...schemaFiles({ entries: moved })]).toEqual(files);
      },
    ),
  );
});

test("every name gives a file of plain characters, and two names two files, capitals or not", () => {
  assert(
    property(
      string({ minLength: 1, unit: "binary" }),
      string({ minLength: 1, unit: "binary" }),
      (a, b) => {
        if (!a.isWellFormed() || !b.isWellFormed()) return;
        const paths = [
          ...schemaFiles({ entries: [entry(1, "TABLE", a), entry(2, "TABLE", b)] }).keys(),
        ];
        for (const path of paths) expect(path).toMatch(/^tables\/public\.[a-z0-9_%-]+\.sql$/);
        expect(new Set(paths).size).toBe(a === b ? 1 : 2);
        for (const path of paths) expect(path.length).toBeLessThan(255);
      },
    ),
  );
});

test("a circle of dependencies ends", () => {
  const entries = [entry(1, "INDEX", "x", [2]), entry(2, "INDEX", "y", [1])];
  expect([...schemaFiles({ entries }).keys()]).toEqual(["index.sql"]);
});
