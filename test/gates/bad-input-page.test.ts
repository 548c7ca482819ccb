import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "..", "..");
const PAGE = join(ROOT, "docs", "spec", "bad-input.md");

interface Line {
  readonly input: string;
  readonly file: string;
  readonly title: string;
}

/** The rows of the page's table; a row of another form is an error. */
function linesOf(page: string): readonly Line[] {
  const rows = page
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| input |"));
  return rows.map((row) => {
    const [, input = "", , last = ""] =
      row.split(" | ").length === 3 ? ["", ...row.split(" | ")] : [];
    const found = /^`(test\/[\w/.-]+\.test\.ts)`: (.+) \|$/.exec(last);
    if (found === null) throw new Error(`no test in the line ${row}`);
    return { input: input.slice(2), file: found[1] ?? "", title: found[2] ?? "" };
  });
}

/** A title may begin with what a table of cases puts into it. */
function missing(lines: readonly Line[]): readonly string[] {
  return lines
    .filter(({ file, title }) => {
      const path = join(ROOT, file);
      return (
        !existsSync(path) ||
        !new RegExp(`["\`][^"\`]*${escaped(title)}["\`]`).test(readFileSync(path, "utf8"))
      );
    })
    .map(({ input }) => input);
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}

test("every line of the page of bad input names a test that is there", () => {
  const lines = linesOf(readFileSync(PAGE, "utf8"));
  expect(lines.length).toBeGreaterThan(30);
  expect(missing(lines)).toEqual([]);
});

test("a line whose test or file is gone is found", () => {
  const [line] = linesOf(readFileSync(PAGE, "utf8"));
  if (line === undefined) throw new Error("no line");
  expect(missing([line])).toEqual([]);
  expect(missing([{ ...line, title: `${line.title} not` }])).toEqual([line.input]);
  expect(missing([{ ...line, file: "test/integration/gone.test.ts" }])).toEqual([line.input]);
  expect(() => linesOf("| a | b | no test |\n")).toThrow("no test in the line");
});
