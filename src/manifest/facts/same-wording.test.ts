import { describe, expect, test } from "vitest";
import { parseEffective, sameUnqualified, sameWording } from "./same-wording.ts";

describe("definitions in other words", () => {
  test.for([
    [
      "CHECK (((v)::text = ANY ((ARRAY['x'::character varying, 'z'::character varying])::text[])))",
      "CHECK (((v)::text = ANY (ARRAY[('x'::character varying)::text, ('z'::character varying)::text])))",
      true,
    ],
    ["CHECK ((a > 0))", "CHECK (a > 0)", true],
    ["CHECK ((a > 0))", "CHECK ((a > 1))", false],
    ["CHECK ((v = 'a b'::text))", "CHECK ((v = 'ab'::text))", false],
    ["CHECK ((v = '(a)'::text))", "CHECK ((v = 'a'::text))", false],
    [`CHECK (("a b" > 0))`, `CHECK (("ab" > 0))`, false],
    ["CHECK ((n = (1.5)::numeric(5,2)))", "CHECK (n = 1.5)", true],
    ["DEFAULT 'it''s (x)'::text", "DEFAULT 'it''s x'::text", false],
  ] as const)("%s and %s: %s", ([a, b, same]) => {
    expect(sameWording(a, b)).toBe(same);
  });

  test.for([
    [" SELECT t.a,\n    t.b\n   FROM s.t;", " SELECT a,\n    b\n   FROM s.t;", true],
    [" SELECT t.a FROM s.t;", " SELECT b FROM s.t;", false],
    [" SELECT 't.a' FROM s.t;", " SELECT 'a' FROM s.t;", false],
    ["PROCEDURE s.p(a integer)", "PROCEDURE s.p(IN a integer)", true],
  ] as const)("between versions, %s and %s: %s", ([a, b, same]) => {
    expect(sameUnqualified(a, b)).toBe(same);
  });
});

test("what every role may do is read by name, quoted names too", () => {
  expect(parseEffective(`a SELECT INSERT, "b, ""c"" SELECT", d`)).toEqual(
    new Map([
      ["a", "SELECT INSERT"],
      [`"b, ""c"" SELECT"`, ""],
      ["d", ""],
    ]),
  );
});
