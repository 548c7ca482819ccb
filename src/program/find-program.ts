import { access, constants } from "node:fs/promises";
import { join } from "node:path";
import { programError } from "./errors.ts";

/** The first of that name in `folders`, which are absolute. */
export async function findProgram(
  name: string,
  folders: readonly string[],
  hint: string,
): Promise<string> {
  for (const folder of folders) {
    const path = join(folder, name);
    if (await isExecutable(path)) return path;
  }
  throw programError("missing", { message: `program ${name}`, hint, subject: { program: name } });
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    // Not there, or not ours to run: no program for us.
    return false;
  }
}
