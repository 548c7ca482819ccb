import { lstat, mkdir, open } from "node:fs/promises";
import { constants } from "node:fs";
import { resolve } from "node:path";
import type { Bytes } from "../../kernel/index.ts";
import { repositoryError } from "../errors.ts";
import { latin1 } from "../tree/names.ts";
import type { Entry } from "../types.ts";

interface OpenFolder {
  readonly name: string;
  readonly path: Buffer;
  /** Mode and time, set when the last entry within is written: writing changes the one and may need the other. */
  entry?: Pick<Entry, "mode" | "modifiedAt">;
}

/** The chain of folders in which the restore is just now. Each is a real folder of the target, never a link. */
export class TargetFolders {
  readonly #root: Buffer;
  readonly #chain: OpenFolder[] = [];

  private constructor(root: Buffer) {
    this.#root = root;
  }

  static async open(targetFolder: string): Promise<TargetFolders> {
    const path = resolve(targetFolder);
    try {
      await mkdir(path, { recursive: true, mode: 0o700 });
    } catch (thrown) {
      throw refused(path, thrown);
    }
    return new TargetFolders(Buffer.from(path));
  }

  /** Makes the folder if need be, and answers its path. `names` are safe for the file system. */
  async enter(names: readonly Bytes[], entry?: Entry): Promise<Buffer> {
    let same = 0;
    while (
      same < names.length &&
      this.#chain[same]?.name === latin1(names[same] ?? new Uint8Array(0))
    )
      same += 1;
    while (this.#chain.length > same) await this.#leave();
    for (const name of names.slice(same)) {
      const path = Buffer.concat([this.#path(), Buffer.from("/"), name]);
      await makeFolder(path);
      this.#chain.push({ name: latin1(name), path });
    }
    const folder = this.#chain.at(-1);
    if (entry !== undefined && folder !== undefined) folder.entry = entry;
    return this.#path();
  }

  /** Sets what is left to set. */
  async close(): Promise<void> {
    while (this.#chain.length > 0) await this.#leave();
  }

  #path(): Buffer {
    return this.#chain.at(-1)?.path ?? this.#root;
  }

  async #leave(): Promise<void> {
    const folder = this.#chain.pop();
    if (folder?.entry === undefined) return;
    const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
    const handle = await open(folder.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      await handle.chmod(folder.entry.mode & 0o777);
      await handle.utimes(folder.entry.modifiedAt, folder.entry.modifiedAt);
    } finally {
      await handle.close();
    }
  }
}

async function makeFolder(path: Buffer): Promise<void> {
  try {
    await mkdir(path, 0o700);
  } catch (thrown) {
    if (systemCode(thrown) !== "EEXIST") throw refused(path.toString("utf8"), thrown);
    if (!(await lstat(path)).isDirectory()) {
      throw repositoryError("target_unsafe", {
        message: `${path.toString("utf8")} that is no folder`,
        subject: { path: path.toString("utf8") },
      });
    }
  }
}

function refused(path: string, cause: unknown): Error {
  return repositoryError("target_failed", {
    message: `folder ${path} that cannot be made (${systemCode(cause) ?? "unknown"})`,
    subject: { path },
    cause,
  });
}

/** `ENOSPC` and the like; `undefined` for what is no system error. */
export function systemCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !("code" in thrown)) return undefined;
  return typeof thrown.code === "string" && /^E[A-Z0-9]+$/.test(thrown.code)
    ? thrown.code
    : undefined;
}
