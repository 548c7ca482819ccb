import { chown, mkdir, mkdtemp, readdir, rm, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { demoError } from "./errors.ts";
import { startWatchdog } from "./watchdog.ts";

/** Where the demo keeps its files: the repository and password in `kept` when there is one, all else in a folder of its own. */
export interface WorkFolder extends AsyncDisposable {
  readonly repository: string;
  readonly passwordFile: string;
  readonly stateDirectory: string;
  /** Undefined when everything is removed at the end. */
  readonly kept: string | undefined;
  /** From now on what `kept` holds stays; until then it goes with the rest. */
  keep(): Promise<void>;
}

export interface WorkFolderOptions {
  readonly keep?: string;
  /** Whom kept files are to belong to, where the demo runs as root for someone (`sudo`). */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

export async function createWorkFolder(options: WorkFolderOptions): Promise<WorkFolder> {
  const kept = options.keep === undefined ? undefined : resolve(options.keep);
  const made = kept === undefined ? false : await claim(kept);
  const temporary = await mkdtemp(join(tmpdir(), "sparekeep-demo-"));
  const watchdog = startWatchdog(temporary);
  const place = kept ?? temporary;
  const files = { repository: join(place, "repository"), passwordFile: join(place, "password") };
  let stays = false;
  return {
    ...files,
    stateDirectory: join(temporary, "state"),
    kept,
    keep: async () => {
      if (kept === undefined) return;
      if (options.owner !== undefined) await giveAll(kept, options.owner);
      stays = true;
    },
    [Symbol.asyncDispose]: async () => {
      if (!stays) {
        await rm(files.repository, { recursive: true, force: true });
        await rm(files.passwordFile, { force: true });
        if (made && kept !== undefined) await rmdir(kept);
      }
      await rm(temporary, { recursive: true, force: true });
      await watchdog.release();
    },
  };
}

/** True when the folder was made now; one that holds anything is refused. */
async function claim(folder: string): Promise<boolean> {
  const first = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (first !== undefined) return true;
  const names = await readdir(folder);
  if (names.length === 0) return false;
  throw demoError("keep_not_empty", { message: `folder ${folder} holds ${names.length} entries` });
}

async function giveAll(folder: string, owner: { uid: number; gid: number }): Promise<void> {
  await chown(folder, owner.uid, owner.gid);
  for (const entry of await readdir(folder, { recursive: true })) {
    await chown(join(folder, entry), owner.uid, owner.gid);
  }
}
