import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadCodeTables, renderErrorsPage } from "../../scripts/docs/errors-page.ts";

const ROOT = join(import.meta.dirname, "..", "..");

describe("the error codes", () => {
  test("stand in docs/errors.md as they are", async () => {
    const page = renderErrorsPage(await loadCodeTables(ROOT));
    expect(readFileSync(join(ROOT, "docs", "errors.md"), "utf8"), "run npm run docs").toBe(page);
  });

  test("each stand in a test that triggers it", async () => {
    const codes = (await loadCodeTables(ROOT)).flatMap(({ layer, codes: entries }) =>
      Object.keys(entries).map((code) => `${layer}.${code}`),
    );
    expect(codes.length).toBeGreaterThan(50);
    expect(untested(codes, testTexts())).toEqual([]);
  });

  test("are missed when no test names them", () => {
    const texts = [`expect(e.code).toBe("a.one")`, "`a.two`", "a.three", `"a.four_more"`];
    expect(untested(["a.one", "a.two", "a.three", "a.four"], texts)).toEqual(["a.three", "a.four"]);
  });
});

describe("the page", () => {
  test("says kind, exit code, meaning and what to do", () => {
    const page = renderErrorsPage([
      {
        layer: "repository",
        codes: { not_found: { kind: "not-found", meaning: "No a|b.", hint: "Look." } },
      },
    ]);
    expect(page).toContain("| `repository.not_found` | not-found | 10 | No a\\|b. | Look. |");
  });
});

/** The codes that no test quotes. */
function untested(codes: readonly string[], texts: readonly string[]): readonly string[] {
  const quoted = new Set(
    texts.flatMap((text) => [...text.matchAll(/["'`]([a-z]+\.[a-z0-9_]+)["'`]/g)].map((m) => m[1])),
  );
  return codes.filter((code) => !quoted.has(code));
}

function testTexts(): readonly string[] {
  return ["src", "test", "demo"].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => /(\.test\.ts|\/testing\/[^/]+\.ts)$/.test(path))
      .map((path) => readFileSync(path, "utf8")),
  );
}
