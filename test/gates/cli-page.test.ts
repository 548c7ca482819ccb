import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { renderCliPage } from "../../scripts/docs/cli-page.ts";

test("docs/cli.md says what the program says: run `npm run docs`", async () => {
  const root = join(import.meta.dirname, "../..");
  expect(await readFile(join(root, "docs/cli.md"), "utf8")).toBe(await renderCliPage(root));
});
