import type { RepositoryCore } from "../core.ts";
import { bug } from "../../kernel/index.ts";
import { parseHeader } from "../pack/header.ts";
import type { StoredPack } from "../pack/packer.ts";
import { saveUnpacked } from "../unpacked.ts";
import { formatIndex } from "./index-file.ts";
import type { IndexedPack } from "./index-file.ts";

/** restic's own limit of one index file. */
export const BLOBS_PER_INDEX = 50_000;

/** Lists acknowledged packs in index files. A pack is listed only after the store has it (I1). */
export class IndexCollector {
  readonly #core: RepositoryCore;
  readonly #signal: AbortSignal;
  readonly #onWritten: (sizeBytes: number, id: string, blobs: number) => void;
  #pending: StoredPack[] = [];
  #blobs = 0;
  /** Ids of the index files that were written. */
  readonly written: string[] = [];

  constructor(
    core: RepositoryCore,
    signal: AbortSignal,
    onWritten: (sizeBytes: number, id: string, blobs: number) => void,
  ) {
    this.#core = core;
    this.#signal = signal;
    this.#onWritten = onWritten;
  }

  async add(pack: StoredPack): Promise<void> {
    this.#pending.push(pack);
    this.#blobs += pack.blobs;
    if (this.#blobs >= BLOBS_PER_INDEX) await this.flush();
  }

  /** Everything added before is listed durably when this returns. */
  async flush(): Promise<void> {
    const packs = this.#pending;
    if (packs.length === 0) return;
    const blobs = this.#blobs;
    this.#pending = [];
    this.#blobs = 0;
    const json = formatIndex(packs.values().map(indexedPack));
    const { id, sizeBytes } = await saveUnpacked(this.#core, "index", json, this.#signal);
    this.written.push(id);
    this.#onWritten(sizeBytes, id, blobs);
  }
}

function indexedPack({ id, header }: StoredPack): IndexedPack {
  const entries = parseHeader(header);
  if (entries === undefined) throw bug("pack header that we wrote and cannot read");
  return { id, entries };
}
