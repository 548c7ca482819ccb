import { canFetch, fetchFromDebian, presentVersions } from "./debian.js";
import { say, SetupStop } from "./report.js";

/** restic's own server for `rest:` stores, which this Debian does not carry: 0.14, for the tests. */

/**
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 * @param {AbortSignal} signal
 */
export async function ensureRestServer(root, env, signal) {
  if (present(root, env).some(isWanted)) return;
  if (!canFetch(env))
    throw new SetupStop(
      "The tests run rest-server 0.14 or newer. It is fetched by itself on Debian only; elsewhere place it as .tools/rest-server/<version>/usr/bin/rest-server.",
    );
  say("Fetching rest-server for the tests into .tools/rest-server");
  const wanted = { name: "rest-server", debianName: "restic-rest-server", suits: isWanted };
  await fetchFromDebian(root, wanted, env, signal);
  if (!present(root, env).some(isWanted))
    throw new SetupStop("Debian's archive gave no rest-server 0.14 or newer.", 1);
}

/** @param {string} version */
export function isWanted(version) {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 0 || minor >= 14;
}

/**
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 */
function present(root, env) {
  // Debian puts its own name on the program.
  const programs = ["restic-rest-server", "rest-server"];
  return presentVersions(root, { name: "rest-server", programs, args: ["--version"] }, env);
}
