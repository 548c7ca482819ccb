import { join } from "node:path";
import process from "node:process";
import { handOver } from "./setup/child.js";
import { quietFlags } from "./setup/node.js";
import { ROOT } from "./setup/place.js";
import { main } from "./setup/report.js";
import { readyForPostgres } from "./setup/setup.js";

// npm run demo [-- --yes --keep DIR]: the set-up that is missing, then the main job on a throwaway database.
const args = process.argv.slice(2);

/** @type {Awaited<ReturnType<typeof readyForPostgres>> | undefined} */
let ready;
await main(async (signal) => {
  ready = await readyForPostgres(args, signal);
  return 0;
});
if (ready !== undefined) {
  const demo = [...quietFlags(ready.nodeVersion), join(ROOT, "demo", "main.ts")];
  const own = args.filter((argument) => argument !== "--yes");
  process.exitCode = await handOver(ready.nodePath, [...demo, ...own], { env: ready.env });
}
