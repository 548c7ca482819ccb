import { startCluster } from "./cluster.ts";
import type { Cluster } from "./cluster.ts";

/** A server whose pg_cron runs the jobs of `database`, without logins of its own. */
export function startCronCluster(
  database: string,
  options: { readonly superuser?: string } = {},
): Promise<Cluster> {
  return startCluster({
    ...options,
    settings: {
      shared_preload_libraries: "pg_cron",
      "cron.database_name": database,
      "cron.use_background_workers": "on",
    },
  });
}
