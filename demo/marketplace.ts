/** The demo's database: a car-parts marketplace on the layout of a Supabase project, from `marketplace/*.sql`. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Cluster } from "./cluster.ts";
import { quoteText } from "./cluster.ts";

/** The bootstrap superuser of the cluster it is loaded into must have this name, as on the platform. */
export const SOURCE_SUPERUSER = "supabase_admin";
/** Reads all, changes nothing; what a policy's connection should use. */
export const BACKUP_ROLE = "sparekeep_backup";

export interface MarketplaceOptions {
  readonly cluster: Cluster;
  readonly database: string;
  /** 1 is about 600,000 rows; tests take less. */
  readonly scale: number;
  readonly backupPassword: string;
  readonly signal?: AbortSignal;
  /** What is loaded now. */
  readonly onStep?: (name: string) => void;
}

/** Files of one number are independent of each other and run side by side. */
export async function loadMarketplace(options: MarketplaceOptions): Promise<void> {
  const { cluster, database } = options;
  const folder = join(import.meta.dirname, "marketplace");
  const files = (await readdir(folder)).filter((name) => name.endsWith(".sql")).toSorted();
  const groups = Map.groupBy(files, (file) => file.slice(0, 2));
  await cluster.createDatabase(database);
  for (const group of groups.values()) {
    options.signal?.throwIfAborted();
    options.onStep?.(group.map((file) => file.replace(/^\d+-(.*)\.sql$/, "$1")).join(", "));
    await Promise.all(
      group.map(async (file) => {
        const script = await readFile(join(folder, file), "utf8");
        await cluster.psql(`\\set scale ${options.scale}\n${script}`, database);
      }),
    );
  }
  await cluster.query(`ALTER ROLE ${BACKUP_ROLE} PASSWORD ${quoteText(options.backupPassword)}`);
}
