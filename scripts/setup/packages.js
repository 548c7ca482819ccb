import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { collect } from "./child.js";
import { usesGlibc } from "./node.js";
import { buildThenPlace } from "./place.js";
import { say, SetupStop } from "./report.js";

/**
 * @typedef {{ version?: string, integrity?: string, optional?: boolean, devOptional?: boolean, link?: boolean,
 *   os?: readonly string[], cpu?: readonly string[], libc?: readonly string[] }} LockedPackage
 * @typedef {{ packages: Readonly<Record<string, LockedPackage>> }} Lockfile
 * @typedef {{ platform: string, arch: string, libc: string }} Machine
 */

/**
 * `npm ci`, only when node_modules is not what package-lock.json says: so a second run needs no network.
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 * @param {AbortSignal} signal
 */
export async function ensurePackages(root, env, signal) {
  if (packagesMatch(root)) return;
  say("Installing the packages of package-lock.json (npm ci)");
  await buildThenPlace(root, join(root, "node_modules"), async (folder) => {
    for (const name of ["package.json", "package-lock.json", ".npmrc"])
      if (existsSync(join(root, name))) copyFileSync(join(root, name), join(folder, name));
    const ended = await collect("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
      cwd: folder,
      env,
      signal,
    });
    if (ended.code !== 0)
      throw new SetupStop(`${ended.output.trim()}\n\nnpm ci ended with ${ended.code}.`, 1);
    return join(folder, "node_modules");
  });
}

/** @param {string} root */
export function packagesMatch(root) {
  const wanted = readLock(join(root, "package-lock.json"));
  const present = readLock(join(root, "node_modules", ".package-lock.json"));
  if (wanted === undefined) throw new SetupStop(`${join(root, "package-lock.json")} is missing.`);
  if (present === undefined) return false;
  const machine = { platform: process.platform, arch: process.arch, libc: libcOf() };
  return missingPackages(wanted, present, machine).length === 0 && allThere(root, present);
}

/**
 * What package-lock.json asks for on this machine and node_modules does not hold in that version.
 * @param {Lockfile} wanted
 * @param {Lockfile} present
 * @param {Machine} machine
 */
export function missingPackages(wanted, present, machine) {
  return Object.entries(wanted.packages)
    .filter(([path, locked]) => {
      if (path === "" || locked.link === true) return false;
      const here = present.packages[path];
      if (here === undefined) return !mayBeAbsent(locked, machine);
      const sameBytes =
        locked.integrity === undefined ||
        here.integrity === undefined ||
        locked.integrity === here.integrity;
      return here.version !== locked.version || !sameBytes;
    })
    .map(([path]) => path);
}

/**
 * An optional package may be absent where it is for another platform, or where it names none (npm then leaves it out
 * together with the platform package that carries it).
 * @param {LockedPackage} locked
 * @param {Machine} machine
 */
function mayBeAbsent(locked, machine) {
  if (locked.optional !== true && locked.devOptional !== true) return false;
  const unnamed = locked.os === undefined && locked.cpu === undefined && locked.libc === undefined;
  return (
    unnamed ||
    !admits(locked.os, machine.platform) ||
    !admits(locked.cpu, machine.arch) ||
    !admits(locked.libc, machine.libc)
  );
}

/**
 * @param {readonly string[] | undefined} list
 * @param {string} value
 */
function admits(list, value) {
  if (list === undefined) return true;
  if (list.includes(`!${value}`)) return false;
  return list.includes(value) || list.every((item) => item.startsWith("!"));
}

/**
 * @param {string} root
 * @param {Lockfile} present
 */
function allThere(root, present) {
  return Object.entries(present.packages).every(
    ([path, locked]) => locked.link === true || existsSync(join(root, path, "package.json")),
  );
}

/**
 * @param {string} path
 * @returns {Lockfile | undefined}
 */
function readLock(path) {
  if (!existsSync(path)) return undefined;
  /** @type {unknown} */
  const parsed = JSON.parse(readFileSync(path, "utf8"));
  return isLockfile(parsed) ? parsed : undefined;
}

/**
 * npm's own file: the fields that are read here are compared, never trusted.
 * @param {unknown} value
 * @returns {value is Lockfile}
 */
function isLockfile(value) {
  return (
    typeof value === "object" &&
    value !== null &&
    "packages" in value &&
    typeof value.packages === "object" &&
    value.packages !== null
  );
}

function libcOf() {
  return usesGlibc(process.report.getReport()) ? "glibc" : "musl";
}
