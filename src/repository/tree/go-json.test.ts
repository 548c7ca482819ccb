import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { goJsonName, goJsonString, goQuote, goTime, goUnquote } from "./go-json.ts";

/** Expected texts follow the documentation of strconv.Quote and of encoding/json; conformance tests ask restic itself. */
describe("names as strconv.Quote writes them", () => {
  test.for([
    ["plain name.txt", "plain name.txt"],
    ['say "hi"', '\\"hi\\"'.replace(/^/, "say ")],
    ["back\\slash", "back\\\\slash"],
    ["\u0007\b\f\n\r\t\v", "\\a\\b\\f\\n\\r\\t\\v"],
    ["\u0001\u001f\u007f", "\\x01\\x1f\\x7f"],
    ["ü é 日本 😀", "ü é 日本 😀"],
    ["\u00a0", "\\u00a0"],
    ["\u00ad", "\\u00ad"],
    ["\u200b\u2028\ufeff", "\\u200b\\u2028\\ufeff"],
    ["\ue000", "\\ue000"],
    ["\u{e0001}", "\\U000e0001"],
    ["\ufffd", "\ufffd"],
    // Unicode 15.0 has the first, 16.0 and 15.1 brought the others.
    ["\u{1fae8}\u{1fae9}\u{2ebf0}\ua7cb", "\u{1fae8}\\U0001fae9\\U0002ebf0\\ua7cb"],
    ["it's", "it's"],
  ] as const)("%j", ([name, quoted]) => {
    expect(goQuote(Buffer.from(name))).toBe(quoted);
  });

  test.for([
    ["a byte that begins nothing", [0xff, 0x41], "\\xffA"],
    ["a cut sequence", [0x41, 0xe2, 0x82], "A\\xe2\\x82"],
    ["an overlong slash", [0xc0, 0xaf], "\\xc0\\xaf"],
    ["a surrogate", [0xed, 0xa0, 0x80], "\\xed\\xa0\\x80"],
    ["beyond U+10FFFF", [0xf4, 0x90, 0x80, 0x80], "\\xf4\\x90\\x80\\x80"],
  ] as const)("%s", ([, bytes, quoted]) => {
    expect(goQuote(Buffer.from(bytes))).toBe(quoted);
  });

  test("come back from any bytes, through JSON too", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 40 }),
          fc.string().map((s) => Buffer.from(s)),
        ),
        (name) => {
          const quoted: unknown = JSON.parse(goJsonName(name));
          expect(quoted).toBe(goQuote(name));
          expect([...(goUnquote(String(quoted)) ?? [])]).toEqual([...name]);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

test("Node knows no Unicode younger than the table of what restic's Go does not know", () => {
  expect(Number(process.versions["unicode"])).toBeLessThanOrEqual(17);
});

describe("unquoting", () => {
  test.for([
    ["\\x41\\101\\u0041\\U00000041", "AAAA"],
    ['\\"', '"'],
    ["a\\\\nb", "a\\nb"],
  ] as const)("%s", ([quoted, name]) => {
    expect(goUnquote(quoted)?.toString()).toBe(name);
  });

  test.for([
    "\\",
    "\\q",
    "\\x4",
    "\\u12",
    "\\ud800",
    "\\U00110000",
    "\\'",
    'a"b',
    "a\nb",
    "\\400",
    "\\x4\\",
  ])("refuses %j, as Go does", (quoted) => {
    expect(goUnquote(quoted)).toBeUndefined();
  });

  test("never throws", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("\\", "x", "u", "U", "0", "9", "f", '"', "é") }),
        (text) => {
          expect(goUnquote(text)).toSatisfy((v) => v === undefined || v instanceof Uint8Array);
        },
      ),
    );
  });
});

describe("JSON strings as Go writes them", () => {
  test.for([
    ["<a & b>", '"\\u003ca \\u0026 b\\u003e"'],
    ["\u2028\u2029", '"\\u2028\\u2029"'],
    ['"\\', '"\\"\\\\"'],
    ["\n\r\t\u0001", '"\\n\\r\\t\\u0001"'],
    ["ü😀", '"ü😀"'],
  ] as const)("%j", ([text, json]) => {
    expect(goJsonString(text)).toBe(json);
  });
});

describe("times as Go writes them", () => {
  test.for([
    ["2026-01-02T03:04:05.000Z", '"2026-01-02T03:04:05Z"'],
    ["2026-01-02T03:04:05.120Z", '"2026-01-02T03:04:05.12Z"'],
    ["2026-01-02T03:04:10.000Z", '"2026-01-02T03:04:10Z"'],
    ["+012026-01-02T03:04:05.000Z", '"9999-01-02T03:04:05Z"'],
    ["-000001-01-02T03:04:05.001Z", '"0000-01-02T03:04:05.001Z"'],
  ] as const)("%s", ([iso, json]) => {
    expect(goTime(new Date(iso))).toBe(json);
  });
});
