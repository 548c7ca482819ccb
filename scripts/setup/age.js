import { existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { collect } from "./child.js";
import { canFetch, privateApt } from "./debian.js";
import { buildThenPlace, inTemporaryFolder, toolsOf } from "./place.js";
import { say, SetupStop } from "./report.js";

/**
 * Stock `age`, which the conformance tests of wrapped passwords run. Unpacked into `.tools/age`; the system's packages,
 * sources and caches stay as they are.
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 * @param {AbortSignal} signal
 */
export async function ensureAge(root, env, signal) {
  const target = join(toolsOf(root), "age");
  const folders = [...(env["PATH"] ?? "").split(delimiter), join(target, "usr", "bin")];
  const complete = (/** @type {string} */ bin) =>
    ["age", "age-keygen"].every((program) => existsSync(join(bin, program)));
  if (folders.some(complete)) return;
  if (!canFetch(env))
    throw new SetupStop(
      "The conformance tests run age and age-keygen. They are fetched by themselves on Debian only; elsewhere install age.",
    );
  say("Fetching age for the conformance tests into .tools/age");
  await inTemporaryFolder(root, async (folder) => {
    const apt = await privateApt(folder, env, signal);
    await apt("apt-get", ["download", "-q", "age"]);
    const deb = readdirSync(folder).find((name) => /^age_.*\.deb$/.test(name));
    if (deb === undefined) throw new SetupStop("apt did not deliver age.", 1);
    await buildThenPlace(root, target, async (place) => {
      const tree = join(place, "tree");
      const ended = await collect("dpkg-deb", ["-x", join(folder, deb), tree], { env, signal });
      if (ended.code !== 0) throw new SetupStop(ended.output, 1);
      return tree;
    });
  });
}
