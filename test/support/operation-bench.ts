import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { init } from "../../src/operation/index.ts";
import type { OperationContext } from "../../src/operation/index.ts";
import { parsePolicy } from "../../src/policy/index.ts";
import type { Policy } from "../../src/policy/index.ts";
import { clientToolFolders } from "../../src/postgres/index.ts";
import { operationContext } from "./operation-context.ts";

/** A folder with a policy and a new repository, for operations on a real database. */
export interface OperationBench extends AsyncDisposable {
  readonly folder: string;
  readonly context: OperationContext;
  readonly policy: Policy;
  /** The same repository under other plans. */
  withPlans(plans: string): Policy;
}

export async function createOperationBench(url: string, plans: string): Promise<OperationBench> {
  const folder = await mkdtemp(join(tmpdir(), "sparekeep-operation-"));
  const context: OperationContext = {
    ...operationContext(join(folder, "state")),
    toolDirectories: await clientToolFolders(process.env["PATH"]),
    env: (name) => (name === "DB" ? url : undefined),
  };
  const textOf = (more: string): string => `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: DB } } }
destinations: { local: { url: ./repo, password: { file: ./key } } }
plans:
${more}
`;
  const withPlans = (more: string): Policy =>
    parsePolicy({ text: textOf(more), file: "p.yaml", directory: folder });
  await writeFile(join(folder, "key"), "a password for tests, long enough\n", { mode: 0o600 });
  const policy = withPlans(plans);
  await init(context, { policy, generatePassword: false });
  return {
    folder,
    context,
    policy,
    withPlans,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
