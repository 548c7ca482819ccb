import { AppError, fromHex, throwIfAborted, toHex } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import type { BlobReader } from "../read/blob-reader.ts";
import { openBlobs } from "../read/content.ts";
import { showPath } from "../tree/pending.ts";
import type { TreeNode } from "../tree/node.ts";
import { parseTree } from "../tree/parse-tree.ts";
import type { Snapshot } from "../types.ts";
import { isUsableName } from "../tree/names.ts";
import { Bitset } from "../bitset.ts";
import type { CheckStep, KnownPacks } from "./check-packs.ts";
import type { FindingCode } from "./findings.ts";

/**
 * Every tree that a snapshot reaches, each once, whichever snapshot came first. Trees are taken from the end of the
 * list of those to see, a window at a time, so that neighbours in a pack are read together.
 */
const WINDOW_TREES = 256;
const WINDOW_BYTES = 4 * 1024 * 1024;
const WINDOWS_AHEAD = 2;

interface FetchedWindow {
  readonly positions: readonly number[];
  readonly opened: Promise<
    { readonly blobs: ReadonlyMap<string, Bytes> } | { readonly thrown: unknown }
  >;
}

export class TreeCheck {
  readonly #step: CheckStep;
  readonly #reader: BlobReader;
  readonly #packs: KnownPacks;
  readonly #seen: Bitset;
  readonly #unplaced = new Set<string>();

  constructor(step: CheckStep, reader: BlobReader, packs: KnownPacks) {
    this.#step = step;
    this.#reader = reader;
    this.#packs = packs;
    this.#seen = new Bitset(reader.index.size);
  }

  async check(snapshot: Snapshot): Promise<void> {
    const toSee: number[] = [];
    this.#note(snapshot, snapshot.tree, toSee);
    const ahead: FetchedWindow[] = [];
    for (;;) {
      while (ahead.length < WINDOWS_AHEAD && toSee.length > 0) ahead.push(this.#fetch(toSee));
      const window = ahead.shift();
      if (window === undefined) return;
      throwIfAborted(this.#step.signal);
      const opened = await window.opened;
      if ("thrown" in opened) throw opened.thrown;
      for (const position of window.positions) {
        const id = this.#reader.index.idAt(position);
        const json = opened.blobs.get(toHex(id)) ?? (await this.#load(snapshot, id));
        if (json !== undefined) this.#checkTree(snapshot, toHex(id), json, toSee);
      }
    }
  }

  /** Under way while the window before it is looked at. Never rejects: it runs ahead of whoever awaits it. */
  #fetch(toSee: number[]): FetchedWindow {
    const positions = this.#takeWindow(toSee);
    const opened = openBlobs(this.#reader, positions, this.#step.signal).then(
      (blobs) => ({ blobs }),
      (thrown: unknown) => ({ thrown }),
    );
    return { positions, opened };
  }

  #takeWindow(toSee: number[]): readonly number[] {
    const window: number[] = [];
    let sizeBytes = 0;
    while (toSee.length > 0 && window.length < WINDOW_TREES && sizeBytes < WINDOW_BYTES) {
      const position = toSee.pop() ?? 0;
      window.push(position);
      sizeBytes += this.#reader.index.plainLengthAt(position);
    }
    return window;
  }

  /** Puts a tree on the list, unless it was there before. */
  #note(snapshot: Snapshot, tree: string, toSee: number[]): void {
    const position = this.#reader.index.position(fromHex(tree), "tree");
    if (position >= 0) {
      if (this.#seen.add(position)) toSee.push(position);
    } else if (!this.#unplaced.has(tree)) {
      this.#unplaced.add(tree);
      this.#found("tree_missing", `tree ${tree.slice(0, 8)} in no index`, snapshot, { tree });
    }
  }

  /** From any of its places; a finding when there is none. */
  async #load(snapshot: Snapshot, id: Bytes): Promise<Bytes | undefined> {
    try {
      return await this.#reader.load(id, "tree", this.#step.signal);
    } catch (thrown) {
      if (!(thrown instanceof AppError) || thrown.kind !== "corrupt") throw thrown;
      const code = thrown.code === "repository.blob_not_found" ? "tree_missing" : "tree_damaged";
      this.#found(code, thrown.message, snapshot, { tree: toHex(id) });
      return undefined;
    }
  }

  #checkTree(snapshot: Snapshot, tree: string, json: Bytes, toSee: number[]): void {
    for (const node of parseTree(json)) {
      if (node === undefined) {
        const message = `tree ${tree.slice(0, 8)} that is no tree`;
        this.#found("tree_damaged", message, snapshot, { tree });
        return;
      }
      this.#checkName(snapshot, tree, node);
      if (node.subtree !== undefined) this.#note(snapshot, node.subtree, toSee);
      if (node.type === "file") this.#checkFile(snapshot, tree, node);
    }
  }

  #checkName(snapshot: Snapshot, tree: string, { name }: TreeNode): void {
    if (isUsableName(name)) return;
    const shown = showPath([name]);
    const message = `entry ${shown} whose name no file can have`;
    this.#found("name_unusable", message, snapshot, { tree, name: shown });
  }

  #checkFile(snapshot: Snapshot, tree: string, node: TreeNode): void {
    const subject = { tree, name: showPath([node.name]) };
    let sumBytes = 0;
    let certain = true;
    for (const blob of node.content) {
      const length = this.#lengthOf(fromHex(blob));
      if (length === "missing") {
        const message = `blob ${blob.slice(0, 8)} of ${subject.name} is not there`;
        this.#found("blob_missing", message, snapshot, { ...subject, blob });
        return;
      }
      // Where indexes disagree about a length, that is the finding, and a sum would prove nothing.
      if (length === "disputed") certain = false;
      else sumBytes += length;
    }
    if (!certain || sumBytes === node.sizeBytes) return;
    const message = `${subject.name} of ${node.sizeBytes} bytes whose blobs hold ${sumBytes}`;
    this.#found("node_size_differs", message, snapshot, subject);
  }

  /** Of the plaintext, by all places of the blob, of which one at least must be there. */
  #lengthOf(blob: Bytes): number | "missing" | "disputed" {
    const { index } = this.#reader;
    const positions = index.positions(blob, "data");
    const [first = -1] = positions;
    if (!positions.some((p) => !this.#packs.missing.has(index.packNumberAt(p)))) return "missing";
    const length = index.plainLengthAt(first);
    return positions.every((p) => index.plainLengthAt(p) === length) ? length : "disputed";
  }

  #found(
    code: FindingCode,
    message: string,
    snapshot: Snapshot,
    subject: Readonly<Record<string, string>>,
  ): void {
    this.#step.findings.add(code, message, { snapshot: snapshot.id, ...subject });
  }
}
