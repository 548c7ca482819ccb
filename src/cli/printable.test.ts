import { assert, property, string } from "fast-check";
import { expect, test } from "vitest";
import { toJson } from "./json.ts";
import { printable } from "./printable.ts";
import { formatTable } from "./table.ts";
import { fitted, textWidth } from "./width.ts";

// oxlint-disable-next-line no-control-regex
const OBEYED = /[\u0000-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/;

test.for([
  ["plain, ünïcödé, 部品", "plain, ünïcödé, 部品"],
  ["\u001B[31mred", String.raw`\x1b[31mred`],
  ["a\nb\tc", String.raw`a\x0ab\x09c`],
  ["\u009B2J", String.raw`\x9b2J`],
  ["abc\u202Etxt.exe", String.raw`abc\u{202e}txt.exe`],
  ["\uD800", String.raw`\u{d800}`],
])("%j is shown as %s", ([text, shown]) => {
  expect(printable(text ?? "")).toBe(shown);
});

test("nothing that a terminal obeys comes through, as text or as JSON", () => {
  assert(
    property(string({ unit: "binary" }), (text) => {
      expect(printable(text)).not.toMatch(OBEYED);
      const json = toJson({ text }, 0);
      expect(json).not.toMatch(OBEYED);
      expect(JSON.parse(json)).toEqual({ text });
    }),
  );
});

test("bigints are decimal strings in JSON", () => {
  expect(toJson({ rows: 2n ** 70n }, 0)).toBe('{"rows":"1180591620717411303424"}');
});

test("widths count what a terminal does", () => {
  expect(textWidth("abc")).toBe(3);
  expect(textWidth("部品")).toBe(4);
  expect(textWidth("e\u0301")).toBe(1);
  expect(fitted("abcdef", 6)).toBe("abcdef");
  expect(fitted("abcdef", 5)).toBe("abcd…");
  expect(fitted("部品部品", 5)).toBe("部品…");
  expect(fitted("abc", 0)).toBe("");
});

test("a cut text is never wider than asked for", () => {
  assert(
    property(string({ unit: "grapheme" }), (text) => {
      for (const columns of [0, 1, 2, 7]) {
        expect(textWidth(fitted(text, columns))).toBeLessThanOrEqual(columns);
      }
    }),
  );
});

test("a table's columns line up and its cells are safe", () => {
  const rows = [
    ["部", "1"],
    ["x\u001B", "20"],
  ];
  expect(formatTable(["NAME", "N"], rows, ["N"])).toEqual([
    "NAME    N",
    "部      1",
    String.raw`x\x1b  20`,
  ]);
});
