import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { delimiter, join } from "node:path";
import { collect } from "./child.js";
import { buildThenPlace, inTemporaryFolder, toolsOf } from "./place.js";
import { say, SetupStop } from "./report.js";

/**
 * The restic versions that the conformance tests run: 0.14, the oldest that we promise to work with, and each newer
 * one that Debian carries. They are unpacked into `.tools/restic/<version>`; the system's packages, sources and caches
 * stay as they are, and no right of root is needed.
 */

const OLD_SERIES = /^0\.14\./;
const SUITES = ["bookworm", "trixie", "forky", "sid"];
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const DEFAULT_MIRROR = "http://deb.debian.org/debian";

/**
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 * @param {AbortSignal} signal
 * @returns {Promise<readonly string[]>} the versions that are there
 */
export async function ensureRestic(root, env, signal) {
  const present = presentRestic(root, env);
  if (suffices(present)) return present;
  if (!canFetch(env))
    throw new SetupStop(
      `The conformance tests run restic 0.14 and restic 0.18 or newer; here is ${present.length === 0 ? "none" : present.join(", ")}. They are fetched by themselves on Debian only; elsewhere place them as .tools/restic/<version>/usr/bin/restic.`,
    );
  say("Fetching restic 0.14 and newer for the conformance tests into .tools/restic");
  await fetchRestic(root, env, signal);
  const fetched = presentRestic(root, env);
  if (!suffices(fetched))
    throw new SetupStop(
      `Debian's archive gave restic ${fetched.join(", ") || "in no version"}; the tests need 0.14 and 0.18 or newer.`,
      1,
    );
  return fetched;
}

/** @param {readonly string[]} versions */
export function suffices(versions) {
  return versions.some((version) => OLD_SERIES.test(version)) && versions.some(isNewer);
}

/** @param {string} version */
function isNewer(version) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 0 || minor >= 18;
}

/**
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 */
function presentRestic(root, env) {
  const folder = join(toolsOf(root), "restic");
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const placed = names.map((name) => versionOf(join(folder, name, "usr", "bin", "restic")));
  const onPath = (env["PATH"] ?? "").split(delimiter).map((bin) => versionOf(join(bin, "restic")));
  const versions = [...placed, ...onPath].filter((version) => version !== undefined);
  return [...new Set(versions)];
}

/** @param {string} program */
function versionOf(program) {
  if (!existsSync(program)) return undefined;
  const asked = spawnSync(program, ["version"], { encoding: "utf8", timeout: 20_000 });
  return /^restic (\d+\.\d+\.\d+)/.exec(asked.stdout ?? "")?.[1];
}

/** @param {NodeJS.ProcessEnv} env */
export function canFetch(env) {
  const folders = (env["PATH"] ?? "").split(delimiter);
  const has = (/** @type {string} */ name) => folders.some((bin) => existsSync(join(bin, name)));
  return existsSync(KEYRING) && ["apt-get", "apt-cache", "apt-config", "dpkg-deb"].every(has);
}

/**
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 * @param {AbortSignal} signal
 */
async function fetchRestic(root, env, signal) {
  const tools = toolsOf(root);
  await inTemporaryFolder(root, async (folder) => {
    const apt = await privateApt(folder, env, signal);
    const versions = newestOfEachRelease(await apt("apt-cache", ["madison", "restic"]));
    for (const { upstream, full } of versions) {
      if (existsSync(join(tools, "restic", upstream))) continue;
      say(`  restic ${upstream}`);
      await apt("apt-get", ["download", "-q", `restic=${full}`]);
      await unpack(root, folder, upstream, { env, signal });
    }
  });
}

/**
 * The newest Debian revision of each upstream version that the tests run.
 * @param {string} madison `restic | 0.14.0-1+b5 | http://… bookworm/main amd64 Packages`
 */
export function newestOfEachRelease(madison) {
  /** @type {Map<string, string>} */
  const found = new Map();
  for (const line of madison.split("\n")) {
    const full = line.split("|")[1]?.trim() ?? "";
    const upstream = /^(\d+\.\d+\.\d+)/.exec(full)?.[1];
    // apt-cache lists the newest first.
    if (upstream !== undefined && !found.has(upstream)) found.set(upstream, full);
  }
  return [...found]
    .map(([upstream, full]) => ({ upstream, full }))
    .filter(({ upstream }) => OLD_SERIES.test(upstream) || isNewer(upstream));
}

/**
 * @param {string} root
 * @param {string} folder
 * @param {string} upstream
 * @param {{ env: NodeJS.ProcessEnv, signal: AbortSignal }} options
 */
async function unpack(root, folder, upstream, options) {
  const debs = readdirSync(folder).filter((name) => name.endsWith(".deb"));
  const deb = debs.find((name) => name.startsWith(`restic_${upstream}`));
  if (deb === undefined) throw new SetupStop(`apt did not deliver restic ${upstream}.`, 1);
  await buildThenPlace(root, join(toolsOf(root), "restic", upstream), async (place) => {
    const tree = join(place, "tree");
    const ended = await collect("dpkg-deb", ["-x", join(folder, deb), tree], options);
    if (ended.code !== 0) throw new SetupStop(ended.output, 1);
    return tree;
  });
}

/**
 * apt with lists, cache, sources and state of its own. Only the `Acquire` settings of the system are taken over
 * (proxies, certificates), so that no hook of the system runs.
 * @param {string} folder
 * @param {NodeJS.ProcessEnv} env
 * @param {AbortSignal} signal
 */
export async function privateApt(folder, env, signal) {
  for (const name of ["lists/partial", "cache/archives/partial", "parts", "state"])
    mkdirSync(join(folder, name), { recursive: true });
  chmodSync(folder, 0o700);
  const system = await collect("apt-config", ["dump"], { env, signal });
  const acquire = system.output.split("\n").filter((line) => line.startsWith("Acquire::"));
  writeFileSync(join(folder, "sources.list"), sourcesList(mirrorOf(systemSources())));
  writeFileSync(join(folder, "apt.conf"), aptConf(folder, acquire), { mode: 0o600 });
  const aptEnv = { ...env, APT_CONFIG: join(folder, "apt.conf"), LC_ALL: "C" };
  const apt = async (/** @type {string} */ program, /** @type {readonly string[]} */ args) => {
    const ended = await collect(program, args, { cwd: folder, env: aptEnv, signal });
    if (ended.code !== 0)
      throw new SetupStop(
        `${ended.output.trim()}\n\n${program} ${args.join(" ")} ended with ${ended.code}.`,
        1,
      );
    return ended.output;
  };
  await apt("apt-get", ["update", "-q"]);
  return apt;
}

/** @param {string} mirror */
function sourcesList(mirror) {
  return SUITES.map((suite) => `deb [signed-by=${KEYRING}] ${mirror} ${suite} main\n`).join("");
}

/**
 * @param {string} folder
 * @param {readonly string[]} acquire
 */
function aptConf(folder, acquire) {
  const own = {
    "Dir::State": join(folder, "state"),
    "Dir::State::lists": join(folder, "lists"),
    "Dir::Cache": join(folder, "cache"),
    "Dir::Etc::main": "/dev/null",
    "Dir::Etc::parts": join(folder, "parts"),
    "Dir::Etc::sourcelist": join(folder, "sources.list"),
    "Dir::Etc::sourceparts": join(folder, "parts"),
    "Dir::Etc::preferences": "/dev/null",
    "Dir::Etc::preferencesparts": join(folder, "parts"),
    "APT::Sandbox::User": "root",
    "Acquire::Languages": "none",
  };
  const lines = Object.entries(own).map(([key, value]) => `${key} "${value}";`);
  return [...acquire.filter((line) => !line.startsWith("Acquire::Languages")), ...lines, ""].join(
    "\n",
  );
}

function systemSources() {
  const parts = "/etc/apt/sources.list.d";
  const files = existsSync(parts) ? readdirSync(parts).map((name) => join(parts, name)) : [];
  return ["/etc/apt/sources.list", ...files]
    .filter((path) => existsSync(path))
    .map((path) => readFileSync(path, "utf8"))
    .join("\n");
}

/**
 * The Debian mirror that this machine uses already, else the public one.
 * @param {string} sources
 */
export function mirrorOf(sources) {
  const uris = sources
    .split("\n")
    .filter((line) => !line.trimStart().startsWith("#"))
    .flatMap((line) => line.match(/\bhttps?:\/\/\S+\/debian\/?(?=\s|$)/g) ?? []);
  return uris[0]?.replace(/\/$/, "") ?? DEFAULT_MIRROR;
}
