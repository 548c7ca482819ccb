import { expect, test } from "vitest";
import { AppError } from "../kernel/index.ts";
import { parsePolicy } from "./index.ts";

function limitsOf(limits: string): unknown {
  const text = `
sparekeep: 1
name: shop
sources:
  db: { kind: postgres, connection: { env: URL }, limits: ${limits} }
destinations:
  local: { url: ./r, password: { file: ./p } }
plans:
  nightly: { source: db, capture: everything, to: local }
`;
  return parsePolicy({ text, file: "shop.yaml", directory: "/" }).sources["db"]?.limits;
}

function problem(limits: string): string {
  try {
    limitsOf(limits);
  } catch (error) {
    if (error instanceof AppError) return error.message;
    throw error;
  }
  throw new Error("no problem");
}

test("limits of a source are bytes a second and milliseconds", () => {
  expect(limitsOf('{ read: 20 MiB/s, lock_patience: "1m 30s" }')).toEqual({
    read: 20 * 1024 * 1024,
    lock_patience: 90_000,
  });
  expect(limitsOf("{ lock_patience: 1 hour }")).toEqual({ lock_patience: 3_600_000 });
  expect(limitsOf("{}")).toEqual({});
});

test.for([
  ["{ read: 20 }", "sources.db.limits.read: no rate"],
  ["{ read: 20 MiB }", "sources.db.limits.read: no rate"],
  ["{ lock_patience: 0s }", "sources.db.limits.lock_patience: no patience between"],
  ["{ lock_patience: 61 minutes }", "sources.db.limits.lock_patience: no patience between"],
  ["{ lock_patience: 1 day }", "sources.db.limits.lock_patience: no patience between"],
  ["{ upload: 20 MiB/s }", "unknown key"],
] as const)("limits %s are refused by name", ([limits, expected]) => {
  expect(problem(limits)).toContain(expected);
});
