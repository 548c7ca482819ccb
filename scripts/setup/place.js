import {
  accessSync,
  chmodSync,
  constants,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { SetupStop } from "./report.js";

/** The checkout. */
export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** @param {string} root */
export function toolsOf(root) {
  return join(root, ".tools");
}

/**
 * Builds something in a temporary folder beside its place and renames it there when it is whole. Whatever happens on
 * the way, a half-built thing never stands in the place, and the temporary folder goes.
 * @param {string} root
 * @param {string} target
 * @param {(folder: string) => Promise<string>} build answers with the path inside the folder that becomes the target
 */
export function buildThenPlace(root, target, build) {
  return inTemporaryFolder(root, async (folder) => {
    const built = await build(folder);
    mkdirSync(dirname(target), { recursive: true });
    // The temporary folder is its owner's alone; what is placed may be used by everybody on this machine.
    chmodSync(built, 0o755);
    renameIfThere(target, join(folder, "replaced"));
    renameSync(built, target);
  });
}

/**
 * A folder on the same file system as what is to be placed, gone when `body` ends, however it ends.
 * @param {string} root
 * @param {(folder: string) => Promise<void>} body
 */
export async function inTemporaryFolder(root, body) {
  const folder = makeFolder(toolsOf(root));
  try {
    await body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} tools */
function makeFolder(tools) {
  try {
    mkdirSync(tools, { recursive: true });
    accessSync(tools, constants.W_OK);
    return mkdtempSync(join(tools, "tmp-"));
  } catch (error) {
    throw new SetupStop(
      `The folder ${tools} cannot be written (${error instanceof Error ? error.message : String(error)}). Run this as the owner of the checkout.`,
    );
  }
}

/**
 * @param {string} from
 * @param {string} to
 */
function renameIfThere(from, to) {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
}
