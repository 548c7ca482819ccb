import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareFacts } from "./compare-facts.ts";
import type { FactDifference } from "./compare-facts.ts";
import { readFacts } from "./read-facts.ts";

async function* inPieces(text: string, size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.byteLength; at += size)
    yield await Promise.resolve(bytes.subarray(at, at + size));
}

async function compare(a: string, b: string, size = 7): Promise<string[]> {
  const found: FactDifference[] = [];
  for await (const one of compareFacts(readFacts(inPieces(a, size)), readFacts(inPieces(b, size))))
    found.push(one);
  return found.map(
    ({ kind, identity, attribute, captured, found: now }) =>
      `${kind} ${identity} ${attribute}: ${captured ?? "-"} > ${now ?? "-"}`,
  );
}

const A = "c\ts\ts.a\tx\t1\nc\ts\ts.b\tx\t1\nc\ts\ts.b\ty\t2\nd\t\tä\tz\t\n";

describe("catalog facts", () => {
  test("of the same database do not differ", async () => {
    expect(await compare(A, A)).toEqual([]);
    expect(await compare("", "")).toEqual([]);
  });

  test.for([
    ["an object that is missing", A.replace("c\ts\ts.a\tx\t1\n", ""), ["c s.a exists: yes > -"]],
    ["the last one", A.replace("d\t\tä\tz\t\n", ""), ["d ä exists: yes > -"]],
    ["one too many", `${A}d\t\tö\tz\t\n`, ["d ö exists: - > yes"]],
    ["a value", A.replace("y\t2", "y\t3"), ["c s.b y: 2 > 3"]],
    ["a value that is gone", A.replace("c\ts\ts.b\ty\t2\n", ""), ["c s.b y: 2 > -"]],
    ["all of it", "", ["c s.a exists: yes > -", "c s.b exists: yes > -", "d ä exists: yes > -"]],
  ] as const)("tell %s", async ([, changed, expected]) => {
    expect(await compare(A, changed)).toEqual(expected);
  });

  test("are read as COPY text, whatever the values hold and however the stream is cut", async () => {
    const text = String.raw`k	s	a\tb	x	l1\nl2\\n` + "\n";
    for await (const one of readFacts(inPieces(text, 1)))
      expect(one).toEqual({
        kind: "k",
        schema: "s",
        identity: "a\tb",
        facts: new Map([["x", "l1\nl2\\n"]]),
      });
  });

  test.for([
    ["a line that is no fact", "a\tb\tc\n"],
    ["a last line without its end", "a\tb\tc\td\te"],
    ["facts out of order", "b\t\tb\tx\t1\na\t\ta\tx\t1\n"],
  ])("refuse %s", async ([message, text]) => {
    await expect(compare(text ?? "", text ?? "")).rejects.toThrow(message);
  });

  test("never crash on garbage, and never call two different texts the same", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.string({ unit: "binary" }), fc.string({ unit: "binary" })), {
          maxLength: 6,
        }),
        fc.array(fc.tuple(fc.string({ unit: "binary" }), fc.string({ unit: "binary" })), {
          maxLength: 6,
        }),
        async (one, other) => {
          const [a, b] = [sortedText(one), sortedText(other)];
          expect((await compare(a, b)).length === 0).toBe(a === b);
        },
      ),
    );
  });
});

function sortedText(pairs: readonly (readonly [string, string])[]): string {
  const wellFormed = (text: string): string => Buffer.from(text).toString("utf8");
  const byName = new Map(pairs.map(([name, value]) => [wellFormed(name), wellFormed(value)]));
  const escape = (text: string): string =>
    text.replaceAll("\\", "\\\\").replaceAll("\t", "\\t").replaceAll("\n", "\\n");
  return [...byName]
    .toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    .map(([name, value]) => `k\t\t${escape(name)}\tx\t${escape(value)}\n`)
    .join("");
}
