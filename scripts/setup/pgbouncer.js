import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { collect } from "./child.js";
import { canFetch, privateApt } from "./debian.js";
import { buildThenPlace, inTemporaryFolder, toolsOf } from "./place.js";
import { say, SetupStop } from "./report.js";

/**
 * PgBouncer, the pooler that the tests put before a server, with the two libraries that it alone needs. Unpacked into
 * `.tools/pgbouncer`, because its package would start a service.
 */
const PACKAGES = ["pgbouncer", "libevent-2.1-7", "libc-ares2"];

/**
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 * @param {AbortSignal} signal
 */
export async function ensurePgBouncer(root, env, signal) {
  if (runs(root, env)) return;
  if (!canFetch(env))
    throw new SetupStop(
      "The tests run PgBouncer. It is fetched by itself on Debian only; elsewhere install it.",
    );
  say("Fetching PgBouncer for the tests into .tools/pgbouncer");
  await inTemporaryFolder(root, async (folder) => {
    const apt = await privateApt(folder, env, signal);
    for (const name of PACKAGES) await apt("apt-get", ["download", "-q", "-t", "bookworm", name]);
    const debs = readdirSync(folder).filter((name) => name.endsWith(".deb"));
    if (debs.length < PACKAGES.length)
      throw new SetupStop(`apt did not deliver ${PACKAGES.join(", ")}.`, 1);
    await buildThenPlace(root, join(toolsOf(root), "pgbouncer"), async (place) => {
      const tree = join(place, "tree");
      for (const deb of debs) {
        const ended = await collect("dpkg-deb", ["-x", join(folder, deb), tree], { env, signal });
        if (ended.code !== 0) throw new SetupStop(ended.output, 1);
      }
      return tree;
    });
  });
  if (!runs(root, env)) throw new SetupStop("The PgBouncer of Debian's archive does not run.", 1);
}

/**
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 */
function runs(root, env) {
  const { program, libraries } = pgBouncerAt(root);
  const environment = { ...env, ...libraries };
  return spawnSync(program, ["--version"], { timeout: 20_000, env: environment }).status === 0;
}

/**
 * The program and what its environment needs; the installed one where none is unpacked.
 * @param {string} root
 * @returns {{ program: string, libraries: { LD_LIBRARY_PATH?: string } }}
 */
export function pgBouncerAt(root) {
  const tree = join(toolsOf(root), "pgbouncer", "usr");
  const program = join(tree, "sbin", "pgbouncer");
  // Debian's package puts it where the PATH of a user may not lead.
  const installed = existsSync("/usr/sbin/pgbouncer") ? "/usr/sbin/pgbouncer" : "pgbouncer";
  if (!existsSync(program)) return { program: installed, libraries: {} };
  const folders = readdirSync(join(tree, "lib"))
    .filter((name) => name.endsWith("-linux-gnu"))
    .map((name) => join(tree, "lib", name));
  return { program, libraries: { LD_LIBRARY_PATH: folders.join(":") } };
}
