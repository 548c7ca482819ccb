import { describe, expect, test } from "vitest";
import { AppError } from "../kernel/index.ts";
import { pointPlanNamed } from "./select.ts";
import { parsePolicy } from "./parse.ts";
import type { PointPlan } from "./policy.ts";

function planWith(guards: string): PointPlan | undefined {
  const text = `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: DB } } }
destinations: { local: { url: ./repo, password: { file: ./key } } }
plans: { full: { source: db, capture: everything, to: local, guards: ${guards} } }
`;
  const policy = parsePolicy({ text, file: "p.yaml", directory: "/x" });
  return pointPlanNamed(policy, "full");
}

function refusal(guards: string): string {
  try {
    planWith(guards);
  } catch (error) {
    if (error instanceof AppError) return `${error.message}. ${error.hint ?? ""}`;
    throw error;
  }
  return "accepted";
}

test("guards are shares, switches with a reason, and exceptions with one", () => {
  const guards = `{ rows: 30 %, bytes: off because pictures moved away, tables_gone: "off because made per tenant",
    tables_unreadable: on, except: [{ table: public.jobs, because: a queue }, { table: '"My"."T"', because: x }] }`;
  expect(planWith(guards)?.guards).toEqual({
    rows: { percent: 30 },
    bytes: { off: "pictures moved away" },
    tables_gone: { off: "made per tenant" },
    tables_unreadable: "on",
    except: [
      { table: "public.jobs", because: "a queue" },
      { table: '"My"."T"', because: "x" },
    ],
  });
});

describe("refused with the fix", () => {
  const off = 'a guard switched off without a reason. Write "off because" and the reason.';
  const share =
    'no share from 1 % to 100 %. Write for example "30 %", or "off because" and the reason.';
  test.for([
    ["{ rows: off }", `p.yaml:5:78: plans.full.guards.rows: ${off}`],
    ["{ rows: off because }", off],
    ["{ tables_gone: false }", off],
    ["{ rows: 30 }", share],
    ["{ rows: 0 % }", share],
    ["{ rows: 101 % }", share],
    ["{ rows: 0.5 }", share],
    ["{ tables_gone: 30 % }", 'neither on nor off. Write "on", or "off because" and the reason.'],
    ["{ row: 30 % }", 'unknown key "row" in plans.full.guards. Write "rows".'],
    ["off", "plans.full.guards of the wrong type. Write a mapping of keys to values here."],
    [
      "{ except: [{ table: jobs, because: a queue }] }",
      "Write it as a run names it, for example public.jobs.",
    ],
    ["{ except: [{ table: public.jobs }] }", 'missing key "because"'],
    [`{ rows: off because ${"x".repeat(301)} }`, "a reason of more than 300 characters"],
  ] as const)("%s", ([guards, said]) => {
    expect(refusal(guards)).toContain(said);
  });
});
