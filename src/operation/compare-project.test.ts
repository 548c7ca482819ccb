import { expect, test } from "vitest";
import { compareProject } from "./compare-project.ts";
import type { ProjectState } from "./compare-project.ts";

function state(
  documents: Record<string, unknown>,
  files: Record<string, string> = {},
): ProjectState {
  return { documents: new Map(Object.entries(documents)), files: new Map(Object.entries(files)) };
}

test("what is equal says nothing", () => {
  const same = { auth: { a: [1, { b: null }], secret: { sealed: "1" } } };
  expect(compareProject(state(same), state(structuredClone(same)))).toEqual([]);
});

test("what came, went and changed, by its place", () => {
  const before = state(
    { auth: { a: 1, gone: true, list: [1], pass: { sealed: "1" } }, ssl: {} },
    { "f/index.ts": "1", "f/old.ts": "1" },
  );
  const after = state(
    { auth: { a: 2, list: [1, 2], pass: { sealed: "2" }, came: null }, network: {} },
    { "f/index.ts": "2" },
  );
  expect(compareProject(before, after)).toEqual([
    { change: "changed", document: "auth", path: ".a", before: 1, after: 2 },
    { change: "added", document: "auth", path: ".came", after: null },
    { change: "removed", document: "auth", path: ".gone", before: true },
    { change: "added", document: "auth", path: ".list[1]", after: 2 },
    {
      change: "changed",
      document: "auth",
      path: ".pass",
      before: { sealed: "1" },
      after: { sealed: "2" },
    },
    { change: "added", document: "network", path: "" },
    { change: "removed", document: "ssl", path: "" },
    { change: "changed", document: "function f", path: "index.ts" },
    { change: "removed", document: "function f", path: "old.ts" },
  ]);
});

test("of what could not be read now nothing is said", () => {
  const changes = compareProject(state({ auth: {} }, { "f/a": "1" }), state({}), () => true);
  expect(changes).toEqual([]);
});
