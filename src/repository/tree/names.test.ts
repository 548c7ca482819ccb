import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { equalBytes } from "../../kernel/index.ts";
import { fileNameOf, latin1, storedNameOf, trueNameOf } from "./names.ts";

const hostile = fc.oneof(
  fc.uint8Array({ maxLength: 400 }),
  fc
    .string({ unit: fc.constantFrom("%", "/", "\0", ".", "2", "F", "5", "0", "~", "-", "é", "e") })
    .map((text) => new Uint8Array(Buffer.from(text))),
  fc
    .constantFrom("", ".", "..", "%", "%25", "%2F", "%empty", "%-a", "x".repeat(255))
    .map((text) => new Uint8Array(Buffer.from(text))),
);

describe("stored names", () => {
  test.for([
    ["photo.jpg", "photo.jpg"],
    ["a/b", "a%2Fb"],
    ["\0", "%00"],
    [".", "%2E"],
    ["..", "%2E%2E"],
    ["...", "..."],
    ["", "%empty"],
    ["100%", "100%25"],
    ["%-shard", "%25-shard"],
    ["x".repeat(255), "x".repeat(255)],
  ] as const)("%s", ([name, stored]) => {
    expect(Buffer.from(storedNameOf(Buffer.from(name))).toString()).toBe(stored);
  });

  test("of 256 bytes and more are cut between characters and end in a hash", () => {
    const stored = Buffer.from(storedNameOf(Buffer.from("ü".repeat(200)))).toString("utf8");
    expect(stored).toMatch(/^ü{110}%~[0-9a-f]{32}$/);
    expect(Buffer.byteLength(stored)).toBeLessThanOrEqual(255);
    const slashes = Buffer.from(storedNameOf(Buffer.from("/".repeat(100)))).toString("utf8");
    expect(slashes).toMatch(/^(%2F){73}%~[0-9a-f]{32}$/);
  });

  test("can be held by any file system, never look like a shard, and lead back to the true name", () => {
    fc.assert(
      fc.property(hostile, (name) => {
        const stored = storedNameOf(name);
        const text = latin1(stored);
        expect(text).not.toMatch(/[/\0]/);
        expect(["", ".", ".."]).not.toContain(text);
        expect(stored.byteLength).toBeLessThanOrEqual(255);
        expect(text.startsWith("%-")).toBe(false);
        expect(equalBytes(trueNameOf(stored, name), name)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test("are different for different names, and so are the names to restore under", () => {
    fc.assert(
      fc.property(hostile, hostile, (a, b) => {
        if (equalBytes(a, b)) return;
        expect(equalBytes(storedNameOf(a), storedNameOf(b))).toBe(false);
        expect(equalBytes(fileNameOf(a), fileNameOf(b))).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("true names", () => {
  test("an attribute that does not lead back is not believed", () => {
    const stored = Buffer.from("a%2Fb");
    expect(trueNameOf(stored, Buffer.from("other"))).toBe(stored);
    expect(trueNameOf(Buffer.from("plain"), Buffer.from("../../etc/passwd")).toString()).toBe(
      "plain",
    );
    expect(trueNameOf(stored, undefined)).toBe(stored);
  });
});

describe("names to restore under", () => {
  test.for([
    ["100%", "100%"],
    ["100%25", "100%2525"],
    ["a%2Fb", "a%252Fb"],
    ["a/b", "a%2Fb"],
    ["..", "%2E%2E"],
    ["%-car", "%-car"],
  ] as const)("%s", ([name, file]) => {
    expect(Buffer.from(fileNameOf(Buffer.from(name))).toString()).toBe(file);
  });
});
