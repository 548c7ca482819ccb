import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { Secret } from "../kernel/index.ts";
import { createMemoryStore } from "../objectstore/index.ts";
import { parsePolicy } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import { createRepository } from "../repository/index.ts";
import { guardMigration } from "./guard-migration.ts";
import { commitSchema } from "./schema/commit-schema.ts";
import { testContext } from "./testing/context.ts";

/** What is refused before anything is opened. */

const context = testContext({ stateDirectory: tmpdir(), commandEnvironment: () => ({}) });

function policyOf(plans: string): Policy {
  const text = `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: DB } } }
destinations: { local: { url: ./repo, password: { file: ./key } } }
plans: ${plans}
`;
  return parsePolicy({ text, file: "p.yaml", directory: "/x" });
}

const ROWS = "full: { source: db, capture: everything, to: local }";
const schema = (name: string): string => `${name}: { source: db, capture: schema, to: local }`;

test.for([
  [`{ ${ROWS} }`, undefined, "no plan that captures the schema"],
  [`{ ${ROWS}, ${schema("a")} }`, "full", "plan full that does not capture the schema"],
  [`{ ${schema("a")}, ${schema("b")} }`, undefined, "2 plans to choose from"],
] as const)("%s guarded by %s", async ([plans, plan, message]) => {
  const options = { policy: policyOf(plans), command: ["true"] as const, terminal: false };
  const guarding = guardMigration(context, { ...options, ...(plan === undefined ? {} : { plan }) });
  await expect(guarding).rejects.toMatchObject({ code: "operation.no_schema_plan", message });
});

test("nothing is guarded where no command can be run", async () => {
  const { commandEnvironment: _none, ...without } = context;
  const options = { policy: policyOf(`{ ${schema("a")} }`), command: ["true"] as const };
  await expect(guardMigration(without, { ...options, terminal: false })).rejects.toMatchObject({
    code: "operation.no_command",
  });
});

test("a commit has the author of the policy or of the environment, and is none without", async () => {
  const { clock, random, hostname, actor: username } = context;
  const repository = await createRepository(
    { store: createMemoryStore({ clock }), clock, random },
    { password: new Secret("test"), hostname, username, cost: { N: 2, r: 1, p: 1 } },
  );
  const target = { url: "/x", path: "schema", branch: "main" };
  const point = { repository, snapshot: "latest", source: "db" };
  await expect(commitSchema(context, target, point)).rejects.toMatchObject({
    code: "operation.git_author_missing",
  });
});
