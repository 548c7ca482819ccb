import { AppError, fromHex, toHex, throwIfAborted } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { textOf } from "../json.ts";
import type { BlobReader } from "../read/blob-reader.ts";
import { blobIdOf } from "../seal.ts";
import { formatTree } from "../tree/node.ts";
import type { TreeNode } from "../tree/node.ts";
import { parseTreeTexts } from "../tree/parse-tree.ts";
import { withFields } from "./node-text.ts";
import { showPath } from "../tree/pending.ts";

/** Trees again without what is gone, as `restic repair snapshots` does: see repair-snapshots.ts. */

export interface TreeChange {
  readonly path: string;
  /** `cut`: a file without its missing blobs. `size`: the size did not add up. `emptied`: a folder whose tree is gone. */
  readonly what: "cut" | "size" | "emptied";
}

export interface RewriteParts {
  readonly reader: BlobReader;
  /** Of the plaintext, where a pack that is there has the blob. */
  readonly lengthOf: (blob: string) => number | undefined;
  /** Stores a tree under its id; a plan only notes it. */
  readonly save: (json: Bytes) => Promise<void>;
  readonly onChange: (change: TreeChange) => void;
  readonly signal?: AbortSignal;
}

/** Folders within folders; beyond it a tree is hostile. */
const MAX_DEPTH = 4096;
const EMPTY = formatTree([]);

export class TreeRewriter {
  readonly #parts: RewriteParts;
  /** Each tree once, however many folders share it: `undefined` where it cannot be read. */
  readonly #done = new Map<string, string | undefined>();

  constructor(parts: RewriteParts) {
    this.#parts = parts;
  }

  /** The id of the tree that stands in its place, the same one where nothing is missing; `undefined`: unreadable. */
  async rewrite(tree: string, path: readonly Bytes[] = []): Promise<string | undefined> {
    throwIfAborted(this.#parts.signal);
    if (this.#done.has(tree)) return this.#done.get(tree);
    // Never a tree within itself: ids are hashes. It stands for "unreadable" until it is done.
    this.#done.set(tree, undefined);
    const json = path.length > MAX_DEPTH ? undefined : await this.#load(tree);
    const result = json === undefined ? undefined : await this.#rewriteNodes(tree, json, path);
    this.#done.set(tree, result);
    return result;
  }

  async #load(tree: string): Promise<Bytes | undefined> {
    try {
      return await this.#parts.reader.load(fromHex(tree), "tree", this.#parts.signal);
    } catch (thrown) {
      if (thrown instanceof AppError && thrown.kind === "corrupt") return undefined;
      throw thrown;
    }
  }

  async #rewriteNodes(
    tree: string,
    json: Bytes,
    path: readonly Bytes[],
  ): Promise<string | undefined> {
    const nodes: string[] = [];
    let changed = false;
    for (const item of parseTreeTexts(json)) {
      if (item === undefined) return undefined;
      const text = textOf(item.json);
      const fresh = await this.#rewriteNode(item.node, text, [...path, item.node.name]);
      changed ||= fresh !== text;
      nodes.push(fresh);
    }
    return changed ? await this.#save(formatTree(nodes)) : tree;
  }

  async #rewriteNode(node: TreeNode, text: string, path: readonly Bytes[]): Promise<string> {
    if (node.type === "file") return this.#rewriteFile(node, text, path);
    if (node.subtree === undefined) return text;
    const subtree = await this.rewrite(node.subtree, path);
    if (subtree === node.subtree) return text;
    if (subtree === undefined) this.#parts.onChange({ path: showPath(path), what: "emptied" });
    return withFields(text, { subtree: subtree ?? (await this.#save(EMPTY)) });
  }

  #rewriteFile(node: TreeNode, text: string, path: readonly Bytes[]): string {
    const content: string[] = [];
    let sizeBytes = 0;
    for (const blob of node.content) {
      const length = this.#parts.lengthOf(blob);
      if (length === undefined) continue;
      content.push(blob);
      sizeBytes += length;
    }
    const isWhole = content.length === node.content.length;
    if (isWhole && sizeBytes === node.sizeBytes) return text;
    this.#parts.onChange({ path: showPath(path), what: isWhole ? "size" : "cut" });
    return withFields(text, { size: sizeBytes, content });
  }

  async #save(json: Bytes): Promise<string> {
    await this.#parts.save(json);
    return toHex(blobIdOf(json));
  }
}
