import { stat } from "node:fs/promises";
import type { Policy } from "../../policy/index.ts";

/** On the key holder's machine there may be a dump, its manifest and no policy: what is done there is audited under this. */
export async function localDumpPolicy(path: string): Promise<Policy | undefined> {
  if (!(await isFile(path))) return undefined;
  return { name: "dumps", sources: {}, destinations: {}, plans: {}, targets: {} };
}

export async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch {
    // Not there, or not ours to see: then it is no file that we could take.
    return false;
  }
}
