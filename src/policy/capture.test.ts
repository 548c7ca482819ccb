import { describe, expect, test } from "vitest";
import { AppError } from "../kernel/index.ts";
import { parsePolicy } from "./parse.ts";

const policyWith = (capture: string): ReturnType<typeof parsePolicy> =>
  parsePolicy({
    text: `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: DB } } }
destinations: { local: { url: ./repo, password: { file: ./key } } }
plans:
  critical: { source: db, to: local, capture: ${capture} }
`,
    file: "p.yaml",
    directory: "/",
  });

test.for([
  { text: "everything", capture: "everything" },
  {
    text: "{ tables: [profiles, sales.orders] }",
    capture: {
      tables: [
        { schema: "public", name: "profiles" },
        { schema: "sales", name: "orders" },
      ],
      formats: [],
    },
  },
  {
    text: `{ tables: ['"a.b"."C d"', Upper], formats: [json, csv] }`,
    capture: {
      tables: [
        { schema: "a.b", name: "C d" },
        { schema: "public", name: "Upper" },
      ],
      formats: ["json", "csv"],
    },
  },
])("$text", ({ text, capture }) => {
  expect(policyWith(text).plans["critical"]?.capture).toEqual(capture);
});

function problem(text: string): { message: string; hint: string | undefined } {
  try {
    policyWith(text);
  } catch (thrown) {
    if (thrown instanceof AppError) return { message: thrown.message, hint: thrown.hint };
  }
  throw new Error("no problem");
}

describe("a capture that cannot be carried out is refused at its place", () => {
  test.for([
    [
      "evrything",
      'p.yaml:6:47: plans.critical.capture: "evrything", which is not known',
      /Write "everything"/,
    ],
    [
      "{ tables: [] }",
      "p.yaml:6:57: plans.critical.capture.tables: no list of tables",
      /Write "everything"/,
    ],
    ["{ formats: [csv] }", "p.yaml:6:47: plans.critical.capture: no list of tables", /tables/],
    [
      "{ tables: [a.b.c] }",
      "p.yaml:6:58: plans.critical.capture.tables.0: no name of a table",
      /double quotes/,
    ],
    [
      "{ tables: [a, public.a] }",
      "p.yaml:6:61: plans.critical.capture.tables.1: a table that stands twice",
      /Remove/,
    ],
    [
      "{ tables: [a], formats: [xml] }",
      "p.yaml:6:72: plans.critical.capture.formats.0: no known format",
      /csv, json/,
    ],
    [
      "{ tables: [a], format: [csv] }",
      "p.yaml:6:70: plans.critical.capture.format: an unknown key",
      /Write "formats"/,
    ],
    [
      "{ tables: [7] }",
      "p.yaml:6:58: plans.critical.capture.tables.0: no name of a table",
      /TABLE/,
    ],
    ["[orders]", "p.yaml:6:47: plans.critical.capture: no capture", /Write "everything"/],
  ] as const)("%s", ([text, message, hint]) => {
    const found = problem(text);
    expect(found.message).toBe(message);
    expect(found.hint).toMatch(hint);
  });
});
