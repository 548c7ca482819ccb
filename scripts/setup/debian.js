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
 * Programs that the tests run in versions which this Debian does not carry: taken from its newer suites and unpacked
 * into `.tools/<name>/<version>`. The system's packages, sources and caches stay as they are, and no right of root is
 * needed.
 *
 * @typedef {{ name: string, debianName?: string, suits: (version: string) => boolean }} Wanted
 */

const SUITES = ["bookworm", "trixie", "forky", "sid"];
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const DEFAULT_MIRROR = "http://deb.debian.org/debian";

/**
 * The versions that are unpacked or in PATH, as the programs themselves say.
 * @param {string} root
 * @param {{ name: string, programs: readonly string[], args: readonly string[] }} wanted
 * @param {NodeJS.ProcessEnv} env
 */
export function presentVersions(root, { name, programs, args }, env) {
  const folder = join(toolsOf(root), name);
  const unpacked = existsSync(folder) ? readdirSync(folder) : [];
  const bins = [
    ...unpacked.map((version) => join(folder, version, "usr", "bin")),
    ...(env["PATH"] ?? "").split(delimiter),
  ];
  const versions = bins
    .flatMap((bin) => programs.map((program) => join(bin, program)))
    .map((program) => (existsSync(program) ? spokenVersion(program, args, env) : undefined))
    .filter((version) => version !== undefined);
  return [...new Set(versions)];
}

/**
 * @param {string} program
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} env
 */
function spokenVersion(program, args, env) {
  const asked = spawnSync(program, args, { encoding: "utf8", timeout: 20_000, env });
  return versionIn(asked.stdout ?? "");
}

/**
 * The first version that a program says of itself: `restic 0.14.0 compiled …`, `rclone v1.60.1-DEV`.
 * @param {string} said
 */
export function versionIn(said) {
  return /\bv?(\d+\.\d+\.\d+)\b/.exec(said.split("\n", 1)[0] ?? "")?.[1];
}

/** @param {NodeJS.ProcessEnv} env */
export function canFetch(env) {
  const folders = (env["PATH"] ?? "").split(delimiter);
  const has = (/** @type {string} */ name) => folders.some((bin) => existsSync(join(bin, name)));
  return existsSync(KEYRING) && ["apt-get", "apt-cache", "apt-config", "dpkg-deb"].every(has);
}

/**
 * Every suiting version that Debian carries and that is not unpacked yet.
 * @param {string} root
 * @param {Wanted} wanted
 * @param {NodeJS.ProcessEnv} env
 * @param {AbortSignal} signal
 */
export async function fetchFromDebian(root, { name, debianName = name, suits }, env, signal) {
  const tools = toolsOf(root);
  await inTemporaryFolder(root, async (folder) => {
    const apt = await privateApt(folder, env, signal);
    const releases = newestOfEachRelease(await apt("apt-cache", ["madison", debianName]));
    for (const { upstream, full } of releases) {
      if (!suits(upstream) || existsSync(join(tools, name, upstream))) continue;
      say(`  ${name} ${upstream}`);
      await apt("apt-get", ["download", "-q", `${debianName}=${full}`]);
      await unpack(root, folder, { name, debianName, upstream }, { env, signal });
    }
  });
}

/**
 * The newest Debian revision of each upstream version.
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
  return [...found].map(([upstream, full]) => ({ upstream, full }));
}

/**
 * @param {string} root
 * @param {string} folder
 * @param {{ name: string, debianName: string, upstream: string }} release
 * @param {{ env: NodeJS.ProcessEnv, signal: AbortSignal }} options
 */
async function unpack(root, folder, { name, debianName, upstream }, options) {
  const debs = readdirSync(folder).filter((file) => file.endsWith(".deb"));
  const deb = debs.find((file) => file.startsWith(`${debianName}_${upstream}`));
  if (deb === undefined) throw new SetupStop(`apt did not deliver ${name} ${upstream}.`, 1);
  await buildThenPlace(root, join(toolsOf(root), name, upstream), async (place) => {
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
