import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { withFields } from "./node-text.ts";

describe("a node with fields changed", () => {
  test("keeps every other byte, numbers beyond 2^53 and escapes too", () => {
    const text = String.raw`{"name":"a\"}{\u003c","inode":18446744073709551615,"size":12,"x":{"y":["}",{"z":1e400}]},"content":["aa"]}`;
    expect(withFields(text, { size: 3, content: [] })).toBe(
      text.replace('"size":12', '"size":3').replace('["aa"]', "[]"),
    );
  });

  test("puts a size where Go's encoder has it, and leaves 0 out as it does", () => {
    expect(withFields('{"gid":0,"content":["aa"]}', { size: 7, content: ["bb"] })).toBe(
      '{"gid":0,"size":7,"content":["bb"]}',
    );
    expect(withFields('{"gid":0,"size":9,"content":["aa"]}', { size: 0, content: [] })).toBe(
      '{"gid":0,"content":[]}',
    );
  });

  test("adds at the end what was not there", () => {
    expect(withFields("{}", { original: "x" })).toBe('{"original":"x"}');
    expect(withFields(' { "a" : 1 } ', { tags: ["t"] })).toBe('{"a":1,"tags":["t"]}');
  });

  test("means what JSON means, whatever the object", () => {
    const object = fc.dictionary(
      fc.string({ minLength: 1 }).filter((key) => key !== "__proto__"),
      fc.jsonValue(),
    );
    fc.assert(
      fc.property(object, fc.boolean(), (fields, pretty) => {
        const text = JSON.stringify(fields, undefined, pretty ? 2 : 0);
        const changed: unknown = JSON.parse(withFields(text, { subtree: "s" }));
        expect(changed).toEqual(JSON.parse(JSON.stringify({ ...fields, subtree: "s" })));
      }),
    );
  });
});
