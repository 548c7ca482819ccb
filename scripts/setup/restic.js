import { canFetch, fetchFromDebian, presentVersions } from "./debian.js";
import { say, SetupStop } from "./report.js";

/**
 * The restic versions that the conformance tests run: 0.14, the oldest that we promise to work with, and each newer
 * one that Debian carries.
 */

const OLD_SERIES = /^0\.14\./;

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
  await fetchFromDebian(root, { name: "restic", suits: isWanted }, env, signal);
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
export function isWanted(version) {
  return OLD_SERIES.test(version) || isNewer(version);
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
  return presentVersions(root, { name: "restic", programs: ["restic"], args: ["version"] }, env);
}
