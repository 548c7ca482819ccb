import { randomBytes } from "node:crypto";
import { BACKUP_ROLE, loadMarketplace, SOURCE_SUPERUSER } from "../../demo/marketplace.ts";
import { startCluster } from "./cluster.ts";
import type { Cluster } from "./cluster.ts";

export interface Marketplace extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly database: string;
  /** As the role that a policy should connect as: reads all, changes nothing. */
  readonly backupUrl: string;
}

/** The demo's database in a cluster of its own; scale 0.02 is about 16,000 rows and takes 1.5 s. */
export async function startMarketplace(
  options: { readonly scale?: number; readonly database?: string } = {},
): Promise<Marketplace> {
  const cluster = await startCluster({ superuser: SOURCE_SUPERUSER });
  const database = options.database ?? "marketplace";
  const backupPassword = randomBytes(12).toString("hex");
  try {
    await loadMarketplace({ cluster, database, scale: options.scale ?? 0.02, backupPassword });
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
  return {
    cluster,
    database,
    backupUrl: cluster.url(database, { name: BACKUP_ROLE, password: backupPassword }),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}
