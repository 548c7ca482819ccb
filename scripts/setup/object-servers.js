import { existsSync } from "node:fs";
import process from "node:process";
import { SetupStop } from "./report.js";
import { agreeAndInstall, onPath } from "./system-packages.js";

/**
 * The real servers that the tests of object stores start themselves: Ceph's gateway and OpenStack Swift for S3, rclone
 * for restic's REST protocol. Only the tests need them; the demo and the product do not.
 */

/** What must be there, and the Debian package that brings it. */
export const OBJECT_SERVERS = {
  "/usr/bin/radosgw": "radosgw",
  "/usr/bin/ceph-mon": "ceph-mon",
  "/usr/bin/ceph-osd": "ceph-osd",
  "/usr/bin/ceph": "ceph-common",
  // Its modules alone: the packages of its servers would start them.
  "/usr/lib/python3/dist-packages/swift/proxy/server.py": "python3-swift",
  "/usr/bin/rclone": "rclone",
  "/usr/bin/openssl": "openssl",
};

/** Installed by Ceph's packages as services; a test starts its own. */
const SERVICES =
  "ceph.target ceph-mon.target ceph-osd.target ceph-radosgw.target ceph-crash.service";

/**
 * The packages whose files are missing.
 * @param {(path: string) => boolean} isThere
 * @returns {readonly string[]}
 */
export function missingServers(isThere) {
  return Object.entries(OBJECT_SERVERS)
    .filter(([path]) => !isThere(path))
    .map(([, name]) => name);
}

/**
 * The one command. Services are switched off again only where Ceph was not there before: one that is somebody's own
 * stays as it is.
 * @param {readonly string[]} packages
 * @returns {import("./system-packages.js").InstallCommand}
 */
export function serversCommand(packages) {
  const install = `DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-confold ${packages.join(" ")}`;
  const isNewCeph = ["ceph-mon", "ceph-osd", "ceph-common"].every((name) =>
    packages.includes(name),
  );
  const off = `{ [ ! -d /run/systemd/system ] || systemctl disable --now -q ${SERVICES}; }`;
  const steps = ["apt-get update -q", install, ...(isNewCeph ? [off] : [])];
  return { shell: steps.join(" && "), needsRoot: true };
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {{ assumeYes: boolean }} options
 */
export async function ensureObjectServers(env, { assumeYes }) {
  const packages = missingServers(existsSync);
  if (packages.length === 0) return;
  if (process.platform !== "linux" || !onPath("apt-get", env))
    throw new SetupStop(
      `The tests start real object stores, and ${packages.join(", ")} of Debian 12 are missing here. They are installed by themselves on Debian only.`,
    );
  const missing = `The servers that the tests of object stores start (${packages.join(", ")})`;
  await agreeAndInstall({ missing, command: serversCommand(packages), assumeYes, env });
  const left = missingServers(existsSync);
  if (left.length > 0)
    throw new SetupStop(
      `${left.join(", ")} were installed, but not where Debian 12 has them: ${Object.keys(OBJECT_SERVERS).join(", ")}.`,
    );
}
