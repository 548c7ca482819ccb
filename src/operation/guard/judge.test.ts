import { array, assert, bigInt, constantFrom, property, record } from "fast-check";
import { expect, test } from "vitest";
import type { CaptureIssue } from "../../source/index.ts";
import { doubtDetails } from "./guard.ts";
import { judge } from "./judge.ts";
import type { Judgement } from "./judge.ts";
import type { PointSizes, TableSize } from "./sizes.ts";

const NO_OBJECTS = { rows: 0n, bytes: 0n, format: "binary" };

function point(tables: readonly TableSize[]): PointSizes {
  const roots = Map.groupBy(
    tables.filter(({ root }) => root !== undefined),
    ({ root }) => root ?? "",
  );
  return { tables: new Map(tables.map((one) => [one.name, one])), roots, largeObjects: NO_OBJECTS };
}

const table = (name: string, rows: number, bytes = rows * 10, more = {}): TableSize => ({
  name,
  rows: BigInt(rows),
  bytes: BigInt(bytes),
  format: "text",
  ...more,
});

function codes(
  before: readonly TableSize[],
  now: readonly TableSize[],
  issues: readonly CaptureIssue[] = [],
): readonly string[] {
  const { findings } = judged(before, now, issues);
  return findings.map(({ code, object }) => `${code} ${object}`);
}

function judged(
  before: readonly TableSize[],
  now: readonly TableSize[],
  issues: readonly CaptureIssue[] = [],
): Judgement {
  return judge(point(before), { sizes: point(now), issues }, {});
}

const BIG = table("big", 100_000);

test("a fall counts from the floor on, to exactly half", () => {
  expect(codes([BIG, table("a", 100)], [BIG, table("a", 50)])).toEqual(["rows_fell a"]);
  expect(codes([BIG, table("a", 100)], [BIG, table("a", 51)])).toEqual([]);
  expect(codes([BIG, table("a", 99)], [BIG, table("a", 0)])).toEqual([]);
  const bytes = (count: number): TableSize => table("a", 10, count);
  expect(codes([BIG, bytes(65_536)], [BIG, bytes(32_768)])).toEqual(["bytes_fell a"]);
  expect(codes([BIG, bytes(65_535)], [BIG, bytes(0)])).toEqual([]);
});

test("many small tables that are emptied are seen in the whole", () => {
  const many = (rows: number) => Array.from({ length: 50 }, (_, i) => table(`t${i}`, rows));
  expect(codes(many(40), many(0))).toEqual(["database_rows_fell database"]);
});

test("bytes of another format are not compared, in the table or in the whole", () => {
  const text = table("a", 1_000, 1_000_000);
  expect(codes([text], [{ ...text, bytes: 500_000n, format: "binary" }])).toEqual([]);
  expect(codes([text], [{ ...text, bytes: 500_000n }])).toEqual([
    "database_bytes_fell database",
    "bytes_fell a",
  ]);
});

const issue = (code: CaptureIssue["code"], object: string): CaptureIssue => ({
  code,
  object,
  message: "",
});

test("what a run missed because it came at a bad moment is no finding, in the table or in the whole", () => {
  const before = [BIG, table("a", 900_000)];
  for (const code of ["table_locked", "table_rewritten", "table_dropped", "table_changed"] as const)
    expect(codes(before, [BIG], [issue(code, "a")])).toEqual([]);
  for (const code of ["permission_denied", "row_security_hidden", "table_unreadable"] as const)
    expect(codes(before, [BIG], [issue(code, "a")])).toEqual(["table_unreadable a"]);
});

test("a partition that cannot be read is named, and does not make its table fall", () => {
  const root = { root: "events" };
  const before = [BIG, table("e1", 500, 5_000, root), table("e2", 500, 5_000, root)];
  const now = [BIG, table("e2", 500, 5_000, root)];
  expect(codes(before, now, [issue("permission_denied", "e1")])).toEqual(["table_unreadable e1"]);
  expect(codes(before, now)).toEqual(["rows_fell events"]);
});

const sizes = array(
  record({
    name: constantFrom("a", "b", "c", "d"),
    rows: bigInt(0n, 10_000n),
    bytes: bigInt(0n, 10_000_000n),
    format: constantFrom("text", "binary"),
  }),
).map((tables) => [...new Map(tables.map((one) => [one.name, one])).values()]);

test("what did not change, or only grew, is never a finding", () => {
  assert(
    property(sizes, bigInt(0n, 5_000n), (before, more) => {
      const grown = before.map((one) => ({
        ...one,
        rows: one.rows + more,
        bytes: one.bytes + more,
      }));
      expect(codes(before, grown)).toEqual([]);
    }),
  );
});

test("a record of a doubt is bounded, whatever the names are and however many", () => {
  const before = Array.from({ length: 5_000 }, (_, i) => table(`${"😀".repeat(300)}${i}`, 1_000));
  const { findings } = judged(before, []);
  expect(findings).toHaveLength(5_001);
  const report = { partitionsGone: [], unusedExceptions: [], off: [], findings };
  const details = doubtDetails({ ...report, comparedWith: null });
  expect(details["findings"]).toBe(5_001);
  expect(Object.keys(details)).toHaveLength(12);
  expect(JSON.stringify(details).length).toBeLessThan(6_000);
  expect(JSON.stringify(details).isWellFormed()).toBe(true);
  expect(JSON.stringify(details)).not.toContain('\\ud83d"');
});
