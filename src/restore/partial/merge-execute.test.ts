import { expect, test } from "vitest";
import { kernelError } from "../../kernel/index.ts";
import { postgresError } from "../../postgres/index.ts";
import { codeOf } from "../../objectstore/testing/index.ts";
import { commit } from "./merge-execute.ts";

function failing(error: Error): Parameters<typeof commit>[0] {
  const query = async (): Promise<never> => {
    throw error;
  };
  return { query };
}

test.for([
  postgresError("connection_lost", { message: "gone" }),
  kernelError("cancelled", { message: "stopped" }),
])("a commit that nobody answered is neither done nor undone: $code", async (error) => {
  expect(await codeOf(() => commit(failing(error)))).toBe("restore.merge_outcome_unknown");
});

test("a commit that the server refused is that refusal", async () => {
  const refused = postgresError("statement_failed", { message: "a deferred constraint" });
  expect(await codeOf(() => commit(failing(refused)))).toBe("postgres.statement_failed");
});
