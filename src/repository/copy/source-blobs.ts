import { fromHex, throwIfAborted, toHex, youngCollector } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { Bitset } from "../bitset.ts";
import { repositoryError } from "../errors.ts";
import type { BlobReader } from "../read/blob-reader.ts";
import { openBlobs } from "../read/content.ts";
import type { BlobType } from "../seal.ts";
import { parseTree } from "../tree/parse-tree.ts";

import type { PlainBlob } from "../write/blob-copier.ts";

/** Trees that are read together, and plain bytes of data that are: two such windows are in memory. */
const WINDOW_TREES = 256;
const WINDOW_BYTES = 4 * 1024 * 1024;

type Fetched = { readonly blobs: readonly PlainBlob[] } | { readonly thrown: unknown };

/**
 * What of a source another repository lacks. Trees are walked once each, whichever snapshot came first; data is noted by
 * position in the source's index and then read in that order, which is pack by pack, whole neighbourhoods at a time.
 */
export class SourceBlobs {
  readonly #reader: BlobReader;
  readonly #knows: (id: Bytes, type: BlobType) => boolean;
  #seen: Bitset;
  #wanted: Bitset;
  #wantedBytes = 0;
  #wantedBlobs = 0;
  readonly #collect = youngCollector();

  constructor(reader: BlobReader, knows: (id: Bytes, type: BlobType) => boolean) {
    this.#reader = reader;
    this.#knows = knows;
    this.#seen = new Bitset(reader.index.size);
    this.#wanted = new Bitset(reader.index.size);
  }

  /** Plain bytes of data noted and not yet read. */
  get wantedBytes(): number {
    return this.#wantedBytes;
  }

  get wantedBlobs(): number {
    return this.#wantedBlobs;
  }

  /** Walks a snapshot: trees that are lacking go to `onTree`, data that is lacking is noted. */
  async walk(
    tree: string,
    onTree: (tree: PlainBlob) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<void> {
    const toSee: number[] = [];
    await this.#note(tree, toSee, signal);
    while (toSee.length > 0) {
      throwIfAborted(signal);
      const window = this.#takeTrees(toSee);
      for (const blob of await this.#load(window, "tree", signal)) {
        await this.#take(blob, toSee, signal);
        if (!this.#knows(blob.id, "tree")) await onTree(blob);
      }
    }
  }

  /** The data noted so far, window by window, each blob compared with its id; the next window is fetched meanwhile. */
  async *data(signal?: AbortSignal): AsyncGenerator<readonly PlainBlob[]> {
    const wanted = this.#wanted;
    this.forgetData();
    const windows = this.#windows(wanted);
    let ahead = this.#fetch(windows.next().value, signal);
    for (;;) {
      const current = await ahead;
      if (current === undefined) return;
      if ("thrown" in current) throw current.thrown;
      ahead = this.#fetch(windows.next().value, signal);
      yield current.blobs;
      // Read, sealed and stored bytes all lie outside V8's heap, which has no reason of its own to look for them.
      this.#collect();
    }
  }

  /** After a snapshot that could not be read whole: what it noted is noted no more, and its trees are unseen. */
  forget(): void {
    this.#seen = new Bitset(this.#reader.index.size);
    this.forgetData();
  }

  forgetData(): void {
    this.#wanted = new Bitset(this.#reader.index.size);
    this.#wantedBytes = 0;
    this.#wantedBlobs = 0;
  }

  #takeTrees(toSee: number[]): readonly number[] {
    const window: number[] = [];
    let sizeBytes = 0;
    while (toSee.length > 0 && window.length < WINDOW_TREES && sizeBytes < WINDOW_BYTES) {
      const position = toSee.pop() ?? 0;
      window.push(position);
      sizeBytes += this.#reader.index.plainLengthAt(position);
    }
    return window;
  }

  async #take({ id, plain }: PlainBlob, toSee: number[], signal?: AbortSignal): Promise<void> {
    for (const node of parseTree(plain)) {
      if (node === undefined) {
        const tree = toHex(id);
        throw repositoryError("tree_damaged", {
          message: `tree ${tree.slice(0, 8)} that is no tree`,
          subject: { tree },
        });
      }
      if (node.subtree !== undefined) await this.#note(node.subtree, toSee, signal);
      for (const blob of node.content) await this.#want(blob, signal);
    }
  }

  async #note(tree: string, toSee: number[], signal?: AbortSignal): Promise<void> {
    const position = await this.#place(tree, "tree", signal);
    if (this.#seen.add(position)) toSee.push(position);
  }

  async #want(blob: string, signal?: AbortSignal): Promise<void> {
    const id = fromHex(blob);
    if (this.#knows(id, "data")) return;
    const position = await this.#place(blob, "data", signal);
    if (!this.#wanted.add(position)) return;
    this.#wantedBlobs += 1;
    this.#wantedBytes += this.#reader.index.plainLengthAt(position);
  }

  async #place(blob: string, type: BlobType, signal?: AbortSignal): Promise<number> {
    const id = fromHex(blob);
    const position = this.#reader.index.position(id, type);
    // In no index: the reader has the words for it.
    if (position < 0) await this.#reader.load(id, type, signal);
    return position;
  }

  *#windows(wanted: Bitset): Generator<readonly number[], undefined, void> {
    const { index } = this.#reader;
    let window: number[] = [];
    let sizeBytes = 0;
    for (let position = 0; position < index.size; position += 1) {
      if (!wanted.has(position)) continue;
      const plainBytes = index.plainLengthAt(position);
      if (window.length > 0 && sizeBytes + plainBytes > WINDOW_BYTES) {
        yield window;
        window = [];
        sizeBytes = 0;
      }
      window.push(position);
      sizeBytes += plainBytes;
    }
    if (window.length > 0) yield window;
    return undefined;
  }

  /** Never rejects: it runs ahead of whoever will await it. */
  async #fetch(
    window: readonly number[] | undefined,
    signal?: AbortSignal,
  ): Promise<Fetched | undefined> {
    if (window === undefined) return undefined;
    try {
      return { blobs: await this.#load(window, "data", signal) };
    } catch (thrown) {
      return { thrown };
    }
  }

  /** At their first places together, and what does not open there at every other place, one by one. */
  async #load(
    window: readonly number[],
    type: BlobType,
    signal?: AbortSignal,
  ): Promise<readonly PlainBlob[]> {
    const opened = await openBlobs(this.#reader, window, signal);
    const blobs: PlainBlob[] = [];
    for (const position of window) {
      const id = this.#reader.index.idAt(position);
      const plain = opened.get(toHex(id)) ?? (await this.#reader.load(id, type, signal));
      blobs.push({ id, plain });
    }
    return blobs;
  }
}
