import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const FOLDER = join(import.meta.dirname, "..", "..", "changelog", "unreleased");

/** One sentence of a known kind, an empty line, then what it means for the user. */
const ENTRY = /^(Bugfix|Enhancement|Change|Security): \S[^\n]*[^.\n]\n\n\S[\s\S]+\n$/;

describe("a changelog entry", () => {
  test.for(readdirSync(FOLDER))("%s has the form", (name) => {
    expect(name).toMatch(/^[a-z0-9-]+\.md$/);
    expect(readFileSync(join(FOLDER, name), "utf8")).toMatch(ENTRY);
  });

  test.for([
    "Fixed: x\n\ny\n",
    "Bugfix: it works.\n\nmore\n",
    "Bugfix: it works\n",
    "Change:\n\nx\n",
  ])("%j has not", (text) => {
    expect(text).not.toMatch(ENTRY);
  });
});
