import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { SetupStop } from "./report.js";
import { agreeAndInstall, onPath } from "./system-packages.js";

/**
 * pg_cron for the PostgreSQL that the tests run: they watch real jobs. Only the tests need it. Comes after PostgreSQL
 * itself, whose installation starts no server; this package alone starts none either.
 */

/**
 * Where Debian's package puts the library, beside the programs in `bin`.
 * @param {string} bin
 */
export function cronLibrary(bin) {
  return join(dirname(bin), "lib", "pg_cron.so");
}

/**
 * @param {number} major
 * @returns {import("./system-packages.js").InstallCommand}
 */
export function cronCommand(major) {
  const install = `DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-confold postgresql-${major}-cron`;
  return { shell: `apt-get update -q && ${install}`, needsRoot: true };
}

/**
 * @param {{ bin: string, major: number }} postgres
 * @param {NodeJS.ProcessEnv} env
 * @param {{ assumeYes: boolean }} options
 */
export async function ensureCron({ bin, major }, env, { assumeYes }) {
  if (existsSync(cronLibrary(bin))) return;
  const missing = `The extension pg_cron of PostgreSQL ${major}, whose jobs the tests watch,`;
  if (process.platform !== "linux" || !onPath("apt-get", env))
    throw new SetupStop(
      `${missing} is missing. Install it so that ${cronLibrary(bin)} is there, or set SPAREKEEP_PG_BIN to another PostgreSQL.`,
    );
  await agreeAndInstall({ missing, command: cronCommand(major), assumeYes, env });
  if (!existsSync(cronLibrary(bin)))
    throw new SetupStop(`pg_cron was installed, but is not at ${cronLibrary(bin)}.`);
}
