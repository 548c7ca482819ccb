import { throwIfAborted } from "../../kernel/index.ts";
import { objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { formatIndex } from "../index/index-file.ts";
import type { IndexedPack, MarkedPack } from "../index/index-file.ts";
import { loadIndexFile } from "../index/load-index.ts";
import type { Lock } from "../lock/lock.ts";
import { saveUnpacked } from "../unpacked.ts";

/** restic's own limit of one index file. */
const BLOBS_PER_INDEX = 50_000;

/** Puts packs into new index files; old ones go only when every new one is durable. */
export class IndexFiles {
  readonly #core: RepositoryCore;
  readonly #signal: AbortSignal;
  #pending: IndexedPack[] = [];
  #marked: MarkedPack[] = [];
  #blobs = 0;
  #written = 0;

  constructor(core: RepositoryCore, signal: AbortSignal) {
    this.#core = core;
    this.#signal = signal;
  }

  async add(pack: IndexedPack): Promise<void> {
    if (pack.entries.length === 0) return;
    if (this.#blobs + pack.entries.length > BLOBS_PER_INDEX) await this.#flush();
    this.#pending.push(pack);
    this.#blobs += pack.entries.length;
  }

  /**
   * What these files list as marked stays so: a snapshot may count on it alone, and its grace period runs. Not packs of
   * which `isGone` says that they will go.
   */
  async keepMarks(old: readonly string[], isGone: (pack: string) => boolean): Promise<void> {
    for (const id of old) {
      throwIfAborted(this.#signal);
      for (const pack of (await loadIndexFile(this.#core, id, this.#signal)).marked) {
        if (isGone(pack.id)) continue;
        if (this.#blobs + pack.entries.length > BLOBS_PER_INDEX) await this.#flush();
        this.#marked.push(pack);
        this.#blobs += pack.entries.length;
      }
    }
  }

  /** Everything added is listed durably, then the old files are gone. Answers how many files were written. */
  async replace(old: readonly string[], lock: Lock): Promise<number> {
    await this.#flush();
    await lock.requireHeld(this.#signal);
    for (const id of old) {
      throwIfAborted(this.#signal);
      await this.#core.store.remove(objectKey.index(id), { signal: this.#signal });
    }
    return this.#written;
  }

  async #flush(): Promise<void> {
    if (this.#pending.length + this.#marked.length === 0) return;
    const [packs, marked] = [this.#pending, this.#marked];
    this.#pending = [];
    this.#marked = [];
    this.#blobs = 0;
    await saveUnpacked(this.#core, "index", formatIndex(packs, marked), this.#signal);
    this.#written += 1;
  }
}
