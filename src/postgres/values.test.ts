import { assert as check, bigInt, property, string } from "fast-check";
import { describe, expect, test } from "vitest";
import { formatLsn, parseLsn } from "./lsn.ts";
import { quoteIdentifier, quoteLiteral, quoteQualified } from "./quote.ts";

describe("WAL positions", () => {
  test("are read and printed as PostgreSQL does", () => {
    expect(parseLsn("16/B374D848")).toBe(0x16_b374_d848n);
    expect(formatLsn(parseLsn("0/0"))).toBe("0/0");
  });

  test("any position makes the round trip", () => {
    check(
      property(bigInt({ min: 0n, max: (1n << 64n) - 1n }), (value) => {
        const text = `${(value >> 32n).toString(16)}/${(value & 0xffff_ffffn).toString(16)}`;
        expect(formatLsn(parseLsn(text))).toBe(text.toUpperCase());
      }),
    );
  });

  test.for(["", "0", "0/", "/0", "0/0/0", "G/0", "123456789/0", "0/0 "])("%j is none", (text) => {
    expect(() => parseLsn(text)).toThrow(expect.objectContaining({ code: "postgres.invalid_lsn" }));
  });
});

describe("quoting", () => {
  test("identifiers", () => {
    expect(quoteIdentifier('a"; DROP TABLE b; --')).toBe('"a""; DROP TABLE b; --"');
    expect(quoteQualified("My Schema", "order")).toBe('"My Schema"."order"');
  });

  test("literals, whatever standard_conforming_strings says", () => {
    expect(quoteLiteral("it's")).toBe("'it''s'");
    expect(quoteLiteral(String.raw`a\'b`)).toBe(String.raw` E'a\\''b'`);
  });

  test("a quoted name always ends where it should", () => {
    check(
      property(string({ unit: "binary" }), (name) => {
        const inner = quoteIdentifier(name).slice(1, -1);
        expect(inner.replaceAll('""', "")).not.toContain('"');
        expect(inner.replaceAll('""', '"')).toBe(name);
      }),
    );
  });
});
