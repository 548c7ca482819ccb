import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AppError } from "../../kernel/index.ts";
import { formatPaper, parsePaper } from "./paper.ts";

const BYTES = Buffer.from(Array.from({ length: 120 }, (_, index) => (index * 37) % 256));
const LINES = formatPaper(BYTES);
const TEXT = LINES.join("\n");

function messageOf(text: string): string {
  try {
    parsePaper(text);
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === "operation.paper_mistyped") {
      return thrown.message;
    }
    throw thrown;
  }
  return "accepted";
}

const bytesOfFive = fc
  .uint8Array({ minLength: 1, maxLength: 60 })
  .map((bytes) => Buffer.concat([bytes, bytes, bytes, bytes, bytes]));

describe("lines of a paper copy", () => {
  test("look as the specification says", () => {
    expect(LINES).toHaveLength(6);
    expect(LINES[0]).toMatch(/^ {2}1 {2}([A-Z2-7]{5} ){7}[A-Z2-7]{5} {3}[A-Z2-7]{4}$/);
    expect(LINES[5]).toMatch(/^end {2}5 {2}[A-Z2-7]{8}$/);
  });

  test("give the bytes back, with prose around them and typed as people type", () => {
    fc.assert(
      fc.property(bytesOfFive, (bytes) => {
        const lines = formatPaper(bytes);
        const typed = lines.map((line) =>
          line
            .toLowerCase()
            .replaceAll("o", "0")
            .replace(/^(\s*\d+\s+)(.*)$/, (_, head: string, rest: string) => {
              return head + rest.replaceAll("b", "8").replaceAll(" ", "");
            }),
        );
        const text = ["Keep this sheet in a safe.", "", ...typed, "The end of it"].join("\r\n");
        expect(Buffer.from(parsePaper(lines.join("\n")))).toEqual(bytes);
        expect(Buffer.from(parsePaper(text))).toEqual(bytes);
      }),
    );
  });

  test("with one character changed name exactly that line", () => {
    fc.assert(
      fc.property(
        fc.nat(4),
        fc.nat(39),
        fc.constantFrom(..."ACEGKMQSUWY2357".split("")),
        (line, at, sign) => {
          const lines = [...LINES];
          const signs = (lines[line] ?? "").split("");
          const places = signs.flatMap((s, index) => (index > 4 && s !== " " ? [index] : []));
          const place = places[at] ?? 5;
          fc.pre(signs[place] !== sign);
          signs[place] = sign;
          lines[line] = signs.join("");
          expect(messageOf(lines.join("\n"))).toBe(
            `paper copy: line ${line + 1} missing or mistyped`,
          );
        },
      ),
    );
  });

  test.for<[string, (lines: string[]) => string[], RegExp]>([
    [
      "two lines exchanged",
      ([a = "", b = "", ...rest]) => [swap(a, b), swap(b, a), ...rest],
      /lines 1, 2/,
    ],
    ["a line left out", ([a = "", , ...rest]) => [a, ...rest], /line 2 missing/],
    ["a line twice, once wrong", (lines) => [...lines, "  3  AAAAA  BBBB"], /line 3/],
    ["the end left out", (lines) => lines.slice(0, -1), /end, is not right/],
    [
      "the last line and the count changed",
      (lines) => [...lines.slice(0, 4), `end 4 ${sum()}`],
      /does not match/,
    ],
    [
      "a sign that is none",
      (lines) => lines.map((line, i) => (i === 3 ? `${line}?` : line)),
      /line 4/,
    ],
    ["nothing", () => [], /end, is not right/],
  ])("with %s are refused", ([, change, message]) => {
    expect(messageOf(change([...LINES]).join("\n"))).toMatch(message);
  });

  test("whatever is typed, it is the bytes or an error that names lines", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), fc.nat(TEXT.length), (noise, at) => {
        const text = TEXT.slice(0, at) + noise + TEXT.slice(at);
        expect(messageOf(text)).toMatch(/^accepted$|^paper copy: /);
        expect(messageOf(noise)).toMatch(/^paper copy: /);
      }),
    );
  });
});

function swap(number: string, content: string): string {
  return number.slice(0, 5) + content.slice(5);
}

function sum(): string {
  return LINES[5]?.split(/\s+/)[2] ?? "";
}
