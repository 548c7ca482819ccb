import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { handOver } from "./setup/child.js";
import { findNode, quietFlags, withNode } from "./setup/node.js";
import { ROOT, toolsOf } from "./setup/place.js";
import { main, SetupStop } from "./setup/report.js";

// node scripts/run.js FILE.ts … | --tool NAME …: runs a script or an installed tool on a fit Node.
await main(async () => {
  const node = findNode(ROOT, process.env);
  if (node === undefined || !existsSync(join(ROOT, "node_modules")))
    throw new SetupStop(
      `Node 24 or the packages are missing in ${toolsOf(ROOT)}. Run: npm run setup`,
    );
  const [first = "", ...rest] = process.argv.slice(2);
  const env = withNode(process.env, node.path);
  if (first === "--tool") {
    const [tool = "", ...args] = rest;
    return handOver(join(ROOT, "node_modules", ".bin", tool), args, { env, cwd: ROOT });
  }
  const flags = quietFlags(node.version);
  return handOver(node.path, [...flags, join(ROOT, first), ...rest], { env });
});
