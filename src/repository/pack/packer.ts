import { createHash } from "node:crypto";
import { bug } from "../../kernel/index.ts";
import type { Bytes, RandomBytes } from "../../kernel/index.ts";
import type { ObjectStore } from "../../objectstore/index.ts";
import { SlabPool } from "../chunker/slabs.ts";
import { objectKey } from "../core.ts";
import type { SealKeys } from "../crypto/master-key.ts";
import { IV_BYTES, SEAL_OVERHEAD_BYTES, sealBytes } from "../crypto/sealed.ts";
import type { BlobType, SealedBlob } from "../seal.ts";
import { Gate, Tasks } from "../gates.ts";
import { formatHeaderEntry, HEADER_LENGTH_BYTES } from "./header.ts";
import { PackPages } from "./pages.ts";

/**
 * Gathers sealed blobs into packs and uploads them. Several data packs are open at once and each blob goes to one of
 * them at random, as restic does since 0.18: the order of a stream, and with it the lengths of its chunks, is not to be
 * read from a pack's header. Trees have packs of their own.
 */
const OPEN_DATA_PACKS = 2;
const UPLOADS = 2;
const DICE = 512;
/** Pages kept for the next pack: what one pack needs, and a little of the next. */
const IDLE_PAGES = 24;
/** No index entry may outgrow what one file holds. */
const MAX_BLOBS = 50_000;

export interface StoredPack {
  readonly id: string;
  readonly sizeBytes: number;
  /** Plain header, entries as in the pack. */
  readonly header: Bytes;
  readonly blobs: number;
}

export interface PackerOptions {
  readonly store: ObjectStore;
  readonly keys: SealKeys;
  readonly random: RandomBytes;
  readonly signal: AbortSignal;
  /** Called after the store acknowledged the pack; the next pack may be acknowledged before it is done. */
  readonly onStored: (pack: StoredPack) => Promise<void>;
  readonly targetBytes: number;
}

interface OpenPack {
  readonly type: BlobType;
  readonly body: PackPages;
  readonly entries: Bytes[];
  readonly digest: ReturnType<typeof createHash>;
  sizeBytes: number;
}

export class Packer {
  readonly #options: PackerOptions;
  readonly #targetBytes: number;
  readonly #turn = new Gate(1);
  readonly #uploads = new Gate(UPLOADS);
  readonly #tasks = new Tasks();
  readonly #pages = new SlabPool(IDLE_PAGES);
  readonly #data: OpenPack[];
  #tree: OpenPack;
  #dice: Bytes = new Uint8Array(0);
  #diced = 0;

  constructor(options: PackerOptions) {
    this.#options = options;
    this.#targetBytes = options.targetBytes;
    this.#data = Array.from({ length: OPEN_DATA_PACKS }, () => newPack("data", this.#pages));
    this.#tree = newPack("tree", this.#pages);
  }

  /** Returns once the blob is in a pack, which may wait for an upload to end: that is what bounds memory. */
  async add(type: BlobType, id: Bytes, sealed: SealedBlob): Promise<void> {
    // One at a time: whoever fills a pack waits for an upload slot, and everybody behind waits with it.
    await this.#turn.enter(1, this.#options.signal);
    try {
      this.#tasks.throwIfFailed();
      await this.#append(type, id, sealed);
    } finally {
      this.#turn.leave(1);
    }
  }

  async #append(type: BlobType, id: Bytes, sealed: SealedBlob): Promise<void> {
    const slot = type === "tree" ? -1 : this.#die() % OPEN_DATA_PACKS;
    const pack = slot < 0 ? this.#tree : (this.#data[slot] ?? this.#tree);
    append(pack, type, id, sealed);
    if (pack.sizeBytes < this.#targetBytes && pack.entries.length < MAX_BLOBS) return;
    if (slot < 0) this.#tree = newPack("tree", this.#pages);
    else this.#data[slot] = newPack("data", this.#pages);
    await this.#startUpload(pack);
  }

  /** A random byte; asked for in hundreds, for each request goes to the system's generator. */
  #die(): number {
    if (this.#diced === this.#dice.byteLength) {
      this.#dice = this.#options.random(DICE);
      this.#diced = 0;
    }
    this.#diced += 1;
    return this.#dice[this.#diced - 1] ?? 0;
  }

  /** Every blob added before is durable, and told to `onStored`, when this returns. */
  async flush(): Promise<void> {
    const open = [...this.#mergeSmall(), this.#tree];
    for (let i = 0; i < OPEN_DATA_PACKS; i += 1) this.#data[i] = newPack("data", this.#pages);
    this.#tree = newPack("tree", this.#pages);
    for (const pack of open) if (pack.entries.length > 0) await this.#startUpload(pack);
    await this.#tasks.settled();
  }

  /** A small run leaves one data pack, not one for each that was open. */
  #mergeSmall(): readonly OpenPack[] {
    const [merged, ...others] = this.#data;
    const sum = this.#data.reduce((bytes, pack) => bytes + pack.sizeBytes, 0);
    if (merged === undefined || sum > this.#targetBytes) return this.#data;
    for (const { body, entries, sizeBytes } of others) {
      for (const bytes of body.views()) {
        merged.body.append(bytes);
        merged.digest.update(bytes);
      }
      merged.entries.push(...entries);
      merged.sizeBytes += sizeBytes;
      body.release();
    }
    return [merged];
  }

  /** Waits for uploads under way without judging them: for disposal after a failure. */
  async drain(): Promise<void> {
    await this.#tasks.settled().catch(() => {
      // Whoever added the blob, or flushes, is told the failure; a disposal has nothing to add to it.
    });
  }

  async #startUpload(pack: OpenPack): Promise<void> {
    await this.#uploads.enter(1, this.#options.signal);
    this.#tasks.start(async () => {
      try {
        await this.#upload(pack);
      } finally {
        this.#uploads.leave(1);
      }
    });
  }

  async #upload(pack: OpenPack): Promise<void> {
    const { store, keys, random, signal, onStored } = this.#options;
    const header = Buffer.concat(pack.entries);
    const sealedHeader = sealBytes(header, keys, random(IV_BYTES));
    const length = Buffer.alloc(HEADER_LENGTH_BYTES);
    length.writeUInt32LE(sealedHeader.byteLength);
    const id = pack.digest.update(sealedHeader).update(length).digest("hex");
    const sizeBytes = pack.sizeBytes + sealedHeader.byteLength + HEADER_LENGTH_BYTES;
    await store.put(objectKey.pack(id), [...pack.body.views(), sealedHeader, length], {
      ifAbsent: true,
      signal,
      ...(pack.type === "data" ? { tier: "bulk" as const } : {}),
    });
    pack.body.release();
    await onStored({ id, sizeBytes, header, blobs: pack.entries.length });
  }
}

function newPack(type: BlobType, pages: SlabPool): OpenPack {
  const digest = createHash("sha256");
  return { type, body: new PackPages(pages), entries: [], digest, sizeBytes: 0 };
}

function append(pack: OpenPack, type: BlobType, id: Bytes, sealed: SealedBlob): void {
  const { bytes, plainBytes, compressed } = sealed;
  const lengthBytes = bytes.byteLength;
  // A buffer that travelled on to a thread leaves views of no bytes behind.
  if (lengthBytes < SEAL_OVERHEAD_BYTES) throw bug("sealed blob whose buffer was used again");
  pack.body.append(bytes);
  pack.digest.update(bytes);
  pack.sizeBytes += lengthBytes;
  pack.entries.push(
    formatHeaderEntry({ id, type, lengthBytes, ...(compressed ? { plainBytes } : {}) }),
  );
}
