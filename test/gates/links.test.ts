import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";

const ROOT = join(import.meta.dirname, "..", "..");
const NOT_OURS = new Set(["node_modules", ".tools", ".git", "dist"]);

function pagesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return NOT_OURS.has(entry.name) ? [] : pagesBelow(path);
    return entry.name.endsWith(".md") ? [path] : [];
  });
}

const BLOCK = /^(```|~~~)[^]*?^\1/gm;
const LINK = /\]\(<?([^)\s>]+)>?(?:\s"[^"]*")?\)/g;

/** The fragment that a heading gets: small letters, dashes for spaces, no punctuation. */
function fragmentOf(heading: string): string {
  const text = heading.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "");
  return text.trim().replaceAll(" ", "-");
}

function brokenLinks(page: string): string[] {
  const text = readFileSync(page, "utf8").replaceAll(BLOCK, "");
  const targets = [...text.matchAll(LINK)].map(([, target = ""]) => target);
  return targets.filter((target) => !/^[a-z][a-z+.-]*:/i.test(target) && !leads(page, target));
}

function leads(page: string, target: string): boolean {
  const [path = "", fragment] = decodeURI(target).split("#", 2);
  const file = path === "" ? page : join(dirname(page), path);
  if (!existsSync(file)) return false;
  if (fragment === undefined || !file.endsWith(".md")) return true;
  const headings = readFileSync(file, "utf8")
    .replaceAll(BLOCK, "")
    .matchAll(/^#+ (.*)$/gm);
  return [...headings].some(([, heading = ""]) => fragmentOf(heading) === fragment);
}

describe("every relative link leads somewhere", () => {
  const pages = pagesBelow(ROOT);

  test.for(pages.map((page) => relative(ROOT, page)))("in %s", (page) => {
    expect(brokenLinks(join(ROOT, page))).toEqual([]);
  });

  test("and pages were seen at all", () => {
    expect(pages.map((page) => relative(ROOT, page))).toContain("docs/ARCHITECTURE.md");
  });
});

test("a link to nowhere is found, in a block of code none is", () => {
  const folder = mkdtempSync(join(tmpdir(), "sparekeep-links-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, "a"));
  writeFileSync(join(folder, "b.md"), "# One `word`, two\n");
  const page = join(folder, "a", "page.md");
  writeFileSync(
    page,
    [
      "[good](../b.md), [there](../b.md#one-word-two), [out](https://example.com/x), [here](#head)",
      "# Head",
      "[gone](../c.md) [moved](../b.md#three) ![image](x.svg)",
      "```\n[code](nowhere.md)\n```",
    ].join("\n"),
  );
  expect(brokenLinks(page)).toEqual(["../c.md", "../b.md#three", "x.svg"]);
});
