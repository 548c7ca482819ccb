import { expect, test } from "vitest";
import { postgresError } from "../../postgres/index.ts";
import { tableIssue } from "./issues.ts";

const ORDERS = { schema: "public", name: "orders" };

test.for([
  ["lock_timeout", "table_locked"],
  // Tried again, like a lock that others hold for too long.
  ["deadlock", "table_locked"],
  ["timeout", "table_unreadable"],
  ["recovery_conflict", undefined],
  ["connection_lost", undefined],
] as const)("postgres.%s is %s of the table that was read", ([code, issue]) => {
  expect(tableIssue(postgresError(code, { message: "text" }), ORDERS)?.code).toBe(issue);
});
