import { toHex } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import type { RepositoryCore } from "../core.ts";
import { IV_BYTES } from "../crypto/sealed.ts";
import { IndexCollector } from "../index/index-collector.ts";
import { PACK_TARGET_BYTES } from "../pack/header.ts";
import { Packer } from "../pack/packer.ts";
import { blobIdOf, sealBlob } from "../seal.ts";
import type { BlobType } from "../seal.ts";

const COMPRESSION_LEVEL = 3;

/** Stores blobs anew: in packs, then in an index. Nothing refers to them before `flush` returned. */
export class BlobSaver {
  readonly #core: RepositoryCore;
  readonly #packer: Packer;
  readonly #collector: IndexCollector;
  readonly #saved = new Set<string>();

  constructor(core: RepositoryCore, signal: AbortSignal) {
    this.#core = core;
    this.#collector = new IndexCollector(core, signal, () => undefined);
    this.#packer = new Packer({
      store: core.store,
      keys: core.master.keys,
      random: core.random,
      signal,
      targetBytes: core.packBytes ?? PACK_TARGET_BYTES,
      onStored: (pack) => this.#collector.add(pack),
    });
  }

  async save(type: BlobType, plain: Bytes): Promise<void> {
    const id = blobIdOf(plain);
    const key = `${type} ${toHex(id)}`;
    if (this.#saved.has(key)) return;
    this.#saved.add(key);
    const { master, random } = this.#core;
    const sealed = sealBlob(plain, type, master.keys, COMPRESSION_LEVEL, random(IV_BYTES));
    await this.#packer.add(type, id, sealed);
  }

  /** Everything saved before is durable and listed when this returns. */
  async flush(): Promise<void> {
    await this.#packer.flush();
    await this.#collector.flush();
  }

  /** After a failure: what is under way must be over before the lock goes. */
  async drain(): Promise<void> {
    await this.#packer.drain();
  }
}
