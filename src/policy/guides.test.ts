import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parsePolicy } from "./parse.ts";
import type { Policy } from "./policy.ts";

const FOLDER = join(import.meta.dirname, "../../docs/guides");
const BLOCK = /```yaml\n(destinations:\n[\s\S]*?)```/g;

/** What a guide shows of a policy must be one, once the rest of it stands around. */
const BLOCKS = ["offsite-copy.md"].flatMap((name) =>
  [...readFileSync(join(FOLDER, name), "utf8").matchAll(BLOCK)].map(
    ([, yaml = ""], at): readonly [string, string] => [`${name} ${at + 1}`, yaml],
  ),
);

describe("destinations that a guide shows", () => {
  test("are found", () => {
    expect(BLOCKS.map(([name]) => name)).toContain("offsite-copy.md 1");
  });

  test.for(BLOCKS)("in %s are accepted", ([, yaml]) => {
    const text = `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: DB } } }
plans: { full: { source: db, capture: everything, to: main } }
${yaml}`;
    const { destinations } = parsePolicy({ text, file: "guide.yaml", directory: "/etc" });
    expect(destinations["main"]?.copies).toEqual(["offsite"]);
  });
});

function wholePolicy(guide: string): Policy {
  const text = readFileSync(join(FOLDER, guide), "utf8");
  const [, yaml = ""] = /```yaml\n(sparekeep: 1\n[\s\S]*?)```/.exec(text) ?? [];
  return parsePolicy({ text: yaml, file: "guide.yaml", directory: "/etc" });
}

test("the whole policy that audit-logs.md shows is one", () => {
  expect(wholePolicy("audit-logs.md")).toMatchObject({
    destinations: { audit: { class: "audit", storage_class: "GLACIER_IR" } },
    plans: { nightly: { except: [{ schema: "public", name: "audit_logs", plan: "audit-logs" }] } },
  });
});

test("the whole policy that project-settings.md shows is one", () => {
  expect(wholePolicy("project-settings.md")).toMatchObject({
    targets: { rebuilt: { kind: "supabase", management_token: { env: "SUPABASE_ACCESS_TOKEN" } } },
    outside: { STRIPE_KEY: { file: "/etc/vault/stripe-key" } },
  });
});
