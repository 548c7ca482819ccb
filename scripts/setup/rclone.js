import { canFetch, fetchFromDebian, presentVersions } from "./debian.js";
import { say, SetupStop } from "./report.js";

/** rclone, whose `serve restic` is the other server of `rest:` stores that the tests run: 1.60, that of Debian 12. */

/**
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 * @param {AbortSignal} signal
 */
export async function ensureRclone(root, env, signal) {
  if (present(root, env).some(suffices)) return;
  if (!canFetch(env))
    throw new SetupStop(
      "The tests run rclone 1.60 or newer. It is fetched by itself on Debian only; elsewhere install it.",
    );
  say("Fetching rclone for the tests into .tools/rclone");
  await fetchFromDebian(root, { name: "rclone", suits: isOldest }, env, signal);
  if (!present(root, env).some(suffices))
    throw new SetupStop("Debian's archive gave no rclone 1.60.", 1);
}

/** @param {string} version */
function isOldest(version) {
  return version.startsWith("1.60.");
}

/** @param {string} version */
function suffices(version) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 1 || minor >= 60;
}

/**
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 */
function present(root, env) {
  // 1.60 ends on a bundle of certificates that it does not like.
  const { AWS_CA_BUNDLE: _bundle, ...rest } = env;
  return presentVersions(root, { name: "rclone", programs: ["rclone"], args: ["version"] }, rest);
}
