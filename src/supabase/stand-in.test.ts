import { expect, test } from "vitest";
import { DESCRIPTION_VERSION } from "./address.ts";
import { schemaViolations } from "../../test/support/json-schema.ts";
import { DESCRIPTION_VERSION as described } from "../../test/support/management-api-description.ts";
import { startManagementApi } from "../../test/support/management-api.ts";

test("the stand-in and the client follow one version of the description", () => {
  expect(described).toBe(DESCRIPTION_VERSION);
});

/** The stand-in bites: what the description does not know is kept as a violation. */
test.for([
  ["a path", "GET", "/v1/projects/abcdefghijklmnopqrst/nothing", undefined, "not described"],
  ["a method", "POST", "/v1/projects/abcdefghijklmnopqrst", "{}", "not described"],
  ["a query", "GET", "/v1/projects/abcdefghijklmnopqrst?x=1", undefined, "query"],
  ["a reference", "GET", "/v1/projects/ABC", undefined, "ref"],
  [
    "a body",
    "POST",
    "/v1/projects/abcdefghijklmnopqrst/database/backups/restore-pitr",
    '{"recovery_time_target_unix":"1"}',
    "recovery_time_target_unix: no number",
  ],
] as const)("on %s of ours", async ([, method, path, body, wanted]) => {
  await using standIn = await startManagementApi();
  await fetch(`${standIn.address}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${standIn.token}`,
      accept: "application/json",
      "content-type": "application/json",
    },
    ...(body === undefined ? {} : { body }),
  });
  expect(standIn.violations.join()).toContain(wanted);
});

test("on an answer of its own", async () => {
  await using standIn = await startManagementApi();
  standIn.state.answers["/postgrest"] = { db_schema: 1 };
  await fetch(`${standIn.address}/v1/projects/${standIn.state.ref}/postgrest`, {
    headers: { authorization: `Bearer ${standIn.token}`, accept: "application/json" },
  });
  expect(standIn.violations.join()).toContain("answer to GET /postgrest: .max_rows: missing");
});

test.for([
  [{ type: "integer" }, 1.5],
  [{ type: "string", pattern: "^a$" }, "b"],
  [{ type: "string", format: "uuid" }, "x"],
  [{ type: "string", enum: ["a"] }, "b"],
  [{ type: "array", items: { type: "string" } }, [1]],
  [{ type: "object", properties: {}, additionalProperties: false }, { a: 1 }],
  [{ oneOf: [{ type: "string" }, { type: "string" }] }, "fits both"],
  [{ type: "string" }, null],
] as const)("the schema %o does not take %o", ([schema, value]) => {
  expect(schemaViolations(schema, value)).not.toEqual([]);
});

test("a keyword that it does not know is an error", () => {
  const schema = { anyOf: [] };
  expect(() => schemaViolations(schema as never, 1)).toThrow("anyOf");
});
