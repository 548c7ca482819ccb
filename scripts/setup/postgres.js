import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { installSystemPackages } from "./system-packages.js";
import { say, SetupStop } from "./report.js";

/** Server and client programs that the demo and the tests start. */
export const PROGRAMS = ["initdb", "pg_ctl", "postgres", "pg_dump", "pg_restore", "psql"];
export const OLDEST_MAJOR = 13;

/**
 * Where distributions put PostgreSQL's programs besides PATH. `*` stands for the version.
 * @type {readonly { parent: string, folder: RegExp, bin: string }[]}
 */
export const USUAL_PLACES = [
  { parent: "/usr/lib/postgresql", folder: /^\d+$/, bin: "bin" },
  { parent: "/opt/homebrew/opt", folder: /^postgresql@\d+$/, bin: "bin" },
  { parent: "/usr/local/opt", folder: /^postgresql@\d+$/, bin: "bin" },
  { parent: "/home/linuxbrew/.linuxbrew/opt", folder: /^postgresql@\d+$/, bin: "bin" },
  { parent: "/usr", folder: /^pgsql-\d+$/, bin: "bin" },
  { parent: "/Library/PostgreSQL", folder: /^\d+$/, bin: "bin" },
];

/**
 * The first folder that holds every program in a version that will do: PATH in its order, then each usual place,
 * highest version first.
 * @param {NodeJS.ProcessEnv} env
 * @param {typeof USUAL_PLACES} places
 * @returns {{ bin: string, major: number } | undefined}
 */
export function findPostgres(env, places = USUAL_PLACES) {
  const named = env["SPAREKEEP_PG_BIN"];
  if (named !== undefined && named !== "") return requireNamed(named);
  const onPath = (env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  for (const bin of [...onPath, ...places.flatMap(foldersOf)]) {
    const major = majorOf(bin);
    if (major !== undefined && major >= OLDEST_MAJOR) return { bin, major };
  }
  return undefined;
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {{ assumeYes: boolean, places?: typeof USUAL_PLACES }} options
 */
export async function ensurePostgres(env, { assumeYes, places = USUAL_PLACES }) {
  const found = findPostgres(env, places);
  if (found !== undefined) return found;
  await installSystemPackages({ assumeYes, env });
  const installed = findPostgres(env, places);
  if (installed === undefined)
    throw new SetupStop(
      `PostgreSQL was installed, but ${PROGRAMS.join(", ")} are still not found together. Set SPAREKEEP_PG_BIN to the folder that holds them.`,
    );
  say(`PostgreSQL ${installed.major} is in ${installed.bin}`);
  return installed;
}

/** @param {string} bin */
function requireNamed(bin) {
  const major = majorOf(bin);
  if (major === undefined || major < OLDEST_MAJOR)
    throw new SetupStop(
      `SPAREKEEP_PG_BIN names ${bin}, which does not hold ${PROGRAMS.join(", ")} of PostgreSQL ${OLDEST_MAJOR} or newer. Correct it, or unset it to have them searched for.`,
    );
  return { bin, major };
}

/** @param {{ parent: string, folder: RegExp, bin: string }} place */
function foldersOf({ parent, folder, bin }) {
  if (!existsSync(parent)) return [];
  const version = (/** @type {string} */ name) => Number(/\d+$/.exec(name)?.[0] ?? 0);
  return readdirSync(parent)
    .filter((name) => folder.test(name))
    .toSorted((a, b) => version(b) - version(a))
    .map((name) => join(parent, name, bin));
}

/** @param {string} bin */
function majorOf(bin) {
  if (!PROGRAMS.every((name) => existsSync(join(bin, name)))) return undefined;
  const asked = spawnSync(join(bin, "postgres"), ["--version"], { encoding: "utf8" });
  const digits = /\(PostgreSQL\) (\d+)/.exec(asked.stdout ?? "")?.[1];
  return asked.status === 0 && digits !== undefined ? Number(digits) : undefined;
}
