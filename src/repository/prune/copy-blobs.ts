import { throwIfAborted, toHex } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import type { RepositoryCore } from "../core.ts";
import { IndexCollector } from "../index/index-collector.ts";
import { PACK_TARGET_BYTES } from "../pack/header.ts";
import { Packer } from "../pack/packer.ts";
import { isMissing, isTruncated } from "../read/blob-reader.ts";
import { coalesce } from "../read/ranges.ts";
import type { PackRange } from "../read/ranges.ts";
import type { PruneState } from "./state.ts";
import type { BlobTotals, DamagedBlob, PackTotals } from "./types.ts";

const BATCH_BYTES = 16 * 1024 * 1024;
const BATCH_BLOBS = 4096;

export interface CopiedBlobs {
  readonly copied: BlobTotals;
  readonly written: PackTotals;
  readonly damaged: readonly DamagedBlob[];
}

/**
 * The needed blobs of every pack to be rewritten, into new packs, one lifetime after the other, so that no new pack holds
 * two. A sealed blob is bound to nothing around it: it is opened, its hash compared, and copied as it is sealed. When
 * this returns, the new packs are durable and so are the index files that list them (I1).
 */
export async function copyBlobs(
  core: RepositoryCore,
  state: PruneState,
  signal: AbortSignal,
  onCopied: (bytes: number) => void,
): Promise<CopiedBlobs> {
  const run = new CopyRun(core, state, signal, onCopied);
  for (let lifetime = 0; lifetime < state.lifetimes; lifetime += 1) await run.copy(lifetime);
  return await run.finish();
}

class CopyRun {
  readonly #core: RepositoryCore;
  readonly #state: PruneState;
  readonly #signal: AbortSignal;
  readonly #onCopied: (bytes: number) => void;
  readonly #collector: IndexCollector;
  readonly #damaged: DamagedBlob[] = [];
  readonly #going: Uint8Array;
  #copied = { blobs: 0, bytes: 0 };
  #written = { packs: 0, bytes: 0 };

  constructor(
    core: RepositoryCore,
    state: PruneState,
    signal: AbortSignal,
    onCopied: (bytes: number) => void,
  ) {
    this.#core = core;
    this.#state = state;
    this.#signal = signal;
    this.#onCopied = onCopied;
    this.#going = Uint8Array.from(state.ledger.packs, ({ fate }) => (fate === "repack" ? 1 : 0));
    const known = state.ledger.files;
    this.#collector = new IndexCollector(core, signal, (_, id, blobs) => {
      known.set(id, { packs: new Uint32Array(0), marked: new Uint32Array(0), blobs });
    });
  }

  async copy(lifetime: number): Promise<void> {
    const { random, store, master, packBytes } = this.#core;
    const packer = new Packer({
      store,
      random,
      keys: master.keys,
      signal: this.#signal,
      targetBytes: packBytes ?? PACK_TARGET_BYTES,
      onStored: async (pack) => {
        this.#written.packs += 1;
        this.#written.bytes += pack.sizeBytes;
        await this.#collector.add(pack);
      },
    });
    try {
      for (const batch of this.#batches(lifetime)) await this.#copyBatch(packer, batch);
      await packer.flush();
    } catch (thrown) {
      await packer.drain();
      throw thrown;
    }
  }

  async finish(): Promise<CopiedBlobs> {
    await this.#collector.flush();
    return { copied: this.#copied, written: this.#written, damaged: this.#damaged };
  }

  /** In the order of the index, which is by pack; a batch is read in as few ranges as its places allow. */
  *#batches(lifetime: number): Generator<readonly number[]> {
    const { ledger, needs } = this.#state;
    const { index } = ledger;
    let batch: number[] = [];
    let bytes = 0;
    for (let position = 0; position < index.size; position += 1) {
      if (needs.at(position) !== lifetime) continue;
      if (this.#going[index.packNumberAt(position)] !== 1) continue;
      batch.push(position);
      bytes += index.lengthAt(position);
      if (bytes < BATCH_BYTES && batch.length < BATCH_BLOBS) continue;
      yield batch;
      batch = [];
      bytes = 0;
    }
    if (batch.length > 0) yield batch;
  }

  async #copyBatch(packer: Packer, batch: readonly number[]): Promise<void> {
    const ranges = coalesce(this.#state.ledger.index, batch);
    let ahead = this.#fetch(ranges[0]);
    for (const [at, range] of ranges.entries()) {
      const sealed = await ahead;
      if ("thrown" in sealed) throw sealed.thrown;
      ahead = this.#fetch(ranges[at + 1]);
      for (const position of range.positions) {
        throwIfAborted(this.#signal);
        await this.#copyBlob(packer, position, cut(this.#state, range, sealed.bytes, position));
      }
    }
  }

  /** Never rejects: it runs ahead of whoever will await it. */
  async #fetch(
    range: PackRange | undefined,
  ): Promise<{ readonly bytes: Bytes | undefined } | { readonly thrown: unknown }> {
    if (range === undefined) return { bytes: undefined };
    try {
      return { bytes: await this.#state.reader.fetch(range.pack, range, this.#signal) };
    } catch (thrown) {
      // Missing or cut here: each blob is looked for again, at every place.
      return isMissing(thrown) || isTruncated(thrown) ? { bytes: undefined } : { thrown };
    }
  }

  async #copyBlob(packer: Packer, position: number, sealed: Bytes | undefined): Promise<void> {
    const { ledger, reader } = this.#state;
    const place = ledger.index.at(position);
    const good =
      sealed !== undefined && reader.look(place, sealed) !== undefined
        ? { sealed, plainBytes: place.plainBytes }
        : await this.#findElsewhere(position);
    if (good === undefined) {
      this.#damaged.push({ blob: toHex(place.id), pack: place.pack });
      return;
    }
    await packer.add(place.type, place.id, {
      bytes: good.sealed,
      plainBytes: good.plainBytes ?? 0,
      compressed: good.plainBytes !== undefined,
    });
    this.#copied.blobs += 1;
    this.#copied.bytes += good.sealed.byteLength;
    this.#onCopied(good.sealed.byteLength);
  }

  /** Here once more, then at every other place of it. */
  async #findElsewhere(
    position: number,
  ): Promise<{ readonly sealed: Bytes; readonly plainBytes: number | undefined } | undefined> {
    const { ledger, reader } = this.#state;
    for (const other of [position, ...ledger.index.placesOf(position)]) {
      const place = ledger.index.at(other);
      try {
        const sealed = await reader.fetch(place.pack, place, this.#signal);
        if (reader.look(place, sealed) !== undefined) {
          return { sealed, plainBytes: place.plainBytes };
        }
      } catch (thrown) {
        if (!isMissing(thrown) && !isTruncated(thrown)) throw thrown;
      }
    }
    return undefined;
  }
}

function cut(
  { ledger }: PruneState,
  range: PackRange,
  bytes: Bytes | undefined,
  position: number,
): Bytes | undefined {
  const from = ledger.index.offsetAt(position) - range.offset;
  return bytes?.subarray(from, from + ledger.index.lengthAt(position));
}
