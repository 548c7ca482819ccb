import { writeFile } from "node:fs/promises";
import { init, loadPolicy } from "../../src/operation/index.ts";
import { operationContext } from "./operation-context.ts";
import { createCliBench } from "./cli.ts";
import type { CliBench } from "./cli.ts";
import { startManagementApi } from "./management-api.ts";
import type { ManagementStandIn } from "./management-api.ts";

export const PASSWORD = "correct horse battery staple 4711";

/** The program, a policy of a Supabase project, and a stand-in for its Management API. */
export interface SupabaseBench extends AsyncDisposable {
  readonly cli: CliBench;
  readonly api: ManagementStandIn;
  /** The policy's repository, with a key that is quick to open. */
  init(): Promise<void>;
  /** Replaces the policy. `more` follows what every policy here has. */
  policy(more?: string, changes?: (text: string) => string): Promise<void>;
}

export async function createSupabaseBench(databaseUrl: string): Promise<SupabaseBench> {
  const api = await startManagementApi();
  const cli = await createCliBench({
    DB_URL: databaseUrl,
    SUPABASE_ACCESS_TOKEN: api.token,
    REPOSITORY_PASSWORD: PASSWORD,
  });
  const policy: SupabaseBench["policy"] = async (more = "", changes = (text) => text) => {
    const source = `{ kind: supabase, project: ${api.state.ref}, connection: { env: DB_URL }, management_token: { env: SUPABASE_ACCESS_TOKEN }, management_api: "${api.address}" }`;
    const text = [
      "sparekeep: 1",
      "name: shop",
      `sources: { database: ${source} }`,
      "destinations: { local: { url: ./repo, password: { env: REPOSITORY_PASSWORD } } }",
      "plans: { nightly: { source: database, capture: everything, to: local } }",
      more,
    ].join("\n");
    await writeFile(cli.path("sparekeep.yaml"), changes(text));
  };
  await policy();
  return {
    cli,
    api,
    policy,
    init: async () => {
      const policyFile = cli.path("sparekeep.yaml");
      const context = {
        ...operationContext(cli.path("init-state")),
        env: (name: string) => (name === "REPOSITORY_PASSWORD" ? PASSWORD : undefined),
      };
      await init(context, { policy: await loadPolicy(policyFile), generatePassword: false });
    },
    [Symbol.asyncDispose]: async () => {
      await api[Symbol.asyncDispose]();
      await cli[Symbol.asyncDispose]();
      // A request or an answer that the published description does not know.
      if (api.violations.length > 0) throw new Error(api.violations.join("; "));
    },
  };
}
