import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { collect } from "./child.js";
import { canFetch, privateApt } from "./debian.js";
import { buildThenPlace, inTemporaryFolder, toolsOf } from "./place.js";
import { say, SetupStop } from "./report.js";

/**
 * PostgreSQL's client programs of the newest major versions, for `npm run test:versions`: from Debian's newer suites,
 * with the libraries that they were built against. Placed as `.tools/postgres-clients/<major>/bin`, where each program
 * is a script that starts the real one by that suite's own loader; the system stays as it is.
 */

const SUITES = /** @type {const} */ ({ 17: "trixie", 18: "forky" });
export const CLIENT_MAJORS = /** @type {const} */ ([17, 18]);
const PROGRAMS = ["pg_dump", "pg_restore", "psql"];
/** Debian's wrappers, in Perl: the programs run without them. */
const NOT_NEEDED = new Set(["postgresql-client-common"]);

/**
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 * @param {AbortSignal} signal
 */
export async function ensurePostgresClients(root, env, signal) {
  const missing = CLIENT_MAJORS.filter(
    (major) => !existsSync(join(clientFolder(root, major), "bin", "pg_dump")),
  );
  if (missing.length === 0) return;
  if (!canFetch(env))
    throw new SetupStop(
      `The test of versions runs the clients of PostgreSQL ${missing.join(" and ")}. They are fetched by themselves on Debian only; elsewhere place them as .tools/postgres-clients/<major>/bin.`,
    );
  say(`Fetching the clients of PostgreSQL ${missing.join(" and ")} into .tools/postgres-clients`);
  await inTemporaryFolder(root, async (folder) => {
    const apt = await privateApt(folder, env, signal);
    for (const major of missing) await fetchClients(root, { major, folder, apt }, { env, signal });
  });
}

/**
 * @param {string} root
 * @param {number} major
 */
function clientFolder(root, major) {
  return join(toolsOf(root), "postgres-clients", String(major));
}

/**
 * @param {string} root
 * @param {{ major: keyof typeof SUITES, folder: string, apt: (program: string, args: readonly string[]) => Promise<string> }} what
 * @param {{ env: NodeJS.ProcessEnv, signal: AbortSignal }} options
 */
async function fetchClients(root, { major, folder, apt }, options) {
  const suite = SUITES[major];
  const client = `postgresql-client-${major}`;
  const release = ["-o", `APT::Default-Release=${suite}`];
  const plain = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"].map(
    (kind) => `--no-${kind}`,
  );
  const direct = namesIn(await apt("apt-cache", ["depends", ...plain, ...release, client]));
  const needed = direct.filter((name) => !NOT_NEEDED.has(name) && name !== client);
  const closure = namesIn(
    await apt("apt-cache", ["depends", "--recurse", ...plain, ...release, ...needed]),
  );
  const before = new Set(readdirSync(folder));
  const wanted = [...new Set([client, ...needed, ...closure])].map((name) => `${name}/${suite}`);
  await apt("apt-get", ["download", "-q", ...wanted]);
  const debs = readdirSync(folder).filter((file) => file.endsWith(".deb") && !before.has(file));
  await buildThenPlace(root, clientFolder(root, major), async (place) => {
    const built = join(place, "built");
    mkdirSync(join(built, "bin"), { recursive: true });
    for (const deb of debs) {
      const ended = await collect(
        "dpkg-deb",
        ["-x", join(folder, deb), join(built, "tree")],
        options,
      );
      if (ended.code !== 0) throw new SetupStop(ended.output, 1);
    }
    for (const program of PROGRAMS) writeStarter(join(built, "bin", program), program, major);
    return built;
  });
}

/**
 * Names of real packages in `apt-cache depends`: `  Depends: libc6`, or a name alone at the start of its line.
 * @param {string} listing
 */
export function namesIn(listing) {
  const names = [
    ...listing.matchAll(/^(?: *\|?(?:Pre)?Depends: )?([a-z0-9][a-z0-9+.-]+)(?::any)?$/gm),
  ];
  return [...new Set(names.map(([, name = ""]) => name))];
}

/**
 * @param {string} path
 * @param {string} program
 * @param {number} major
 */
function writeStarter(path, program, major) {
  const script = `#!/bin/sh
set -eu
tree=$(dirname "$(dirname "$(readlink -f "$0")")")/tree
for loader in "$tree"/usr/lib/*/ld-linux-*.so.*; do
  libraries=$(dirname "$loader")
  exec "$loader" --argv0 "$0" --library-path "$libraries" "$tree/usr/lib/postgresql/${major}/bin/${program}" "$@"
done
`;
  writeFileSync(path, script);
  chmodSync(path, 0o755);
}
