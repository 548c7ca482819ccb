import { describe, expect, test } from "vitest";
import type { FactDifference } from "../../manifest/index.ts";
import { withheldBy } from "./withheld.ts";

const isWithheld = withheldBy({
  withheld: [
    { object: "ROLE app", reason: "logs in, but has no password yet" },
    { object: "ROLE boss", reason: "superuser at the source, ordinary here" },
    { object: "ROLE boss", reason: "membership in pg_write_server_files, which reaches beyond" },
    { object: "ROLE app SET session_preload_libraries", reason: "could load code" },
    { object: "DATABASE back SET local_preload_libraries", reason: "could load code" },
    { object: "EXTENSION net", reason: "sends requests" },
    { object: "TRIGGER public.Odd table Web hook", reason: "a webhook" },
    { object: "FK CONSTRAINT public.t t_fk", reason: "refers to a table without rows" },
    { object: "SERVER far", reason: "reaches another server" },
    { object: "FOREIGN TABLE shop.Far parts", reason: "cannot be built without it" },
    { object: "MATERIALIZED VIEW shop.of_far", reason: "cannot be built without it" },
  ],
  undescribed: ['public."Hidden"'],
  databaseName: "back",
  limited: false,
});

/** `captured` and `found`; by default an object that is missing. */
function difference(
  kind: string,
  identity: string,
  attribute = "exists",
  more: Partial<FactDifference> = {},
): FactDifference {
  return {
    kind,
    schema: "",
    identity,
    attribute,
    captured: "yes",
    found: undefined,
    capturedObject: undefined,
    foundObject: undefined,
    ...more,
  };
}

function objectWith(facts: Readonly<Record<string, string>>): Partial<FactDifference> {
  return {
    capturedObject: { kind: "", schema: "", identity: "", facts: new Map(Object.entries(facts)) },
  };
}

const NOW_FALSE = { captured: "true", found: "false" };

describe("what the plan announced", () => {
  test.for([
    difference("role", "boss", "superuser", NOW_FALSE),
    difference("membership", "boss in pg_write_server_files"),
    difference("setting", "role app", "session_preload_libraries"),
    difference("setting", "role app", "exists", objectWith({ session_preload_libraries: "x" })),
    difference("setting", "this database", "local_preload_libraries"),
    difference("extension", "net"),
    difference("trigger", 'public."Odd table" "Web hook"'),
    difference("comment", 'trigger "Web hook" on public."Odd table"'),
    difference("constraint", "public.t t_fk"),
    difference("comment", "table constraint t_fk on public.t"),
    difference("column", 'public."Hidden" a'),
    difference("index", "public.of_it", "exists", objectWith({ table: 'public."Hidden"' })),
    difference("rights on table", 'public."Hidden"'),
    difference("event trigger", "any"),
    difference("foreign server", "far"),
    difference("rights on foreign server", "far"),
    difference("comment", "server far"),
    difference("relation", 'shop."Far parts"'),
    difference("column", 'shop."Far parts" id'),
    difference("rights on table", 'shop."Far parts"'),
    difference("comment", 'foreign table column shop."Far parts".id'),
    difference("comment", "materialized view shop.of_far"),
    difference("index", "shop.i", "exists", objectWith({ table: "shop.of_far" })),
  ])("$kind $identity $attribute is withheld", (one) => {
    expect(isWithheld(one)).toBe(true);
  });
});

describe("what shares a name with something that was announced", () => {
  test.for([
    difference("schema", "app"),
    difference("relation", "app.t"),
    difference("rights on schema", "app"),
    difference("schema", "net"),
    difference("function", "net.f()"),
    difference("role", "app"),
    difference("role", "app", "superuser", NOW_FALSE),
    difference("role", "boss", "login", NOW_FALSE),
    difference("role", "boss", "replication", NOW_FALSE),
    difference("membership", "app in readers"),
    difference("membership", "boss in readers"),
    difference("setting", "role app", "work_mem"),
    difference(
      "setting",
      "role app",
      "exists",
      objectWith({ session_preload_libraries: "x", work_mem: "1" }),
    ),
    difference("setting", "role app", "exists"),
    difference("setting", "this database", "session_preload_libraries"),
    difference("trigger", 'public."Odd table" "Web hook 2"'),
    difference("trigger", 'public."Odd table" "Web hook"', "enabled", { found: "D" }),
    difference("constraint", "public.t other"),
    difference("relation", "public.t"),
    difference("relation", 'public."Hidden2"'),
    difference("function", 'public."Hidden"'),
    difference("comment", "table public.t"),
    difference("schema", "far"),
    difference("relation", "shop.of_far2"),
    difference("column", 'shop."Far parts2" id'),
    difference("relation", "shop.of_far", "owner", { captured: "a", found: "b" }),
    difference("comment", "schema far"),
  ])("$kind $identity $attribute is not", (one) => {
    expect(isWithheld(one)).toBe(false);
  });
});
