import { existsSync } from "node:fs";
import { join } from "node:path";
import { collect } from "./child.js";
import { ROOT } from "./place.js";

/** Points git at `.githooks`, in a checkout only: an unpacked archive has no hooks. */
export async function installHooks() {
  if (!existsSync(join(ROOT, ".git"))) return;
  const ended = await collect("git", ["config", "core.hooksPath", ".githooks"], { cwd: ROOT });
  if (ended.code !== 0) throw new Error(`git config core.hooksPath: ${ended.output}`);
}
