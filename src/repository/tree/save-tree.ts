import { MIB, throwIfAborted } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { inParallel } from "../parallel.ts";
import { Gate } from "../gates.ts";
import { formatTree } from "./node.ts";
import type { PendingFile } from "./pending.ts";
import { PendingFolder } from "./pending.ts";
import { needsShards, shardRanges } from "./shard.ts";
import { byName, FileItem, FolderItem, newestOf, ShardedItem } from "./tree-item.ts";
import type { TreeItem } from "./tree-item.ts";

/** Stores one tree blob and answers its id; durable only when the writer has flushed. Called several times at once. */
export type SaveTreeBlob = (json: Bytes) => Promise<string>;

export interface SavedTree {
  readonly tree: string;
  readonly files: number;
  /** Newest of everything below: a folder of unchanged files keeps its node, and with it every tree above. */
  readonly newestMs: number;
}

/** Of the JSON of trees that are being stored; a larger one goes alone. */
const JSON_BYTES = 8 * MIB;
/** Trees of one folder that are stored at once, so that no thread waits for the next. */
const LANES = 4;

/**
 * Folders after what they hold, a few ranges of names at a time: of a huge folder only those are ever JSON. Folders are
 * dropped from memory as they are stored.
 */
export async function saveTree(
  root: PendingFolder,
  save: SaveTreeBlob,
  signal?: AbortSignal,
): Promise<SavedTree> {
  const saver = new TreeSaver(save, signal);
  const items = await saver.children(root);
  const tree = await saver.tree(items);
  return { tree, files: saver.files, newestMs: newestOf(items) };
}

class TreeSaver {
  files = 0;
  readonly #save: SaveTreeBlob;
  readonly #signal: AbortSignal;
  readonly #room = new Gate(JSON_BYTES);

  constructor(save: SaveTreeBlob, signal = new AbortController().signal) {
    this.#save = save;
    this.#signal = signal;
  }

  /** Sorted as they are stored. Every folder below is, when this returns. */
  async children(folder: PendingFolder): Promise<TreeItem[]> {
    // Off the caller's stack, which a thousand folders in each other would use up.
    await Promise.resolve();
    throwIfAborted(this.#signal);
    const items: TreeItem[] = [];
    const folders: (readonly [string, PendingFolder])[] = [];
    for (const [name, child] of folder.children) {
      if (child === "reserved") continue;
      if (child instanceof PendingFolder) folders.push([name, child]);
      else items.push(this.#file(name, child));
    }
    await inParallel(folders, this.#lanes(), async ([name, child]) => {
      const below = await this.children(child);
      // All of it was abandoned: a folder is there only for what it holds.
      if (below.length === 0) return;
      items.push(new FolderItem(name, await this.tree(below), newestOf(below)));
    });
    folder.children.clear();
    return items.sort(byName);
  }

  async tree(items: readonly TreeItem[]): Promise<string> {
    let level = items;
    for (let depth = 0; needsShards(level); depth += 1) {
      const shards = await this.#shards(level, depth);
      // Names that share 253 bytes cannot be told apart by a shard's name; then one more level would change nothing.
      if (shards.length >= level.length) break;
      level = shards;
    }
    return await this.#store(level);
  }

  async #shards(level: readonly TreeItem[], depth: number): Promise<readonly TreeItem[]> {
    const shards: TreeItem[] = [];
    const ranges = shardRanges(level, depth);
    await inParallel(ranges.entries(), this.#lanes(), async ([at, { name, first, from, to }]) => {
      const within = level.slice(from, to);
      shards[at] = new ShardedItem(name, first, await this.#store(within), newestOf(within));
    });
    return shards;
  }

  async #store(items: readonly TreeItem[]): Promise<string> {
    const mostBytes = items.reduce((sum, item) => sum + item.mostBytes, 0);
    await this.#room.enter(mostBytes, this.#signal);
    try {
      return await this.#save(formatTree(items.map((item) => item.json())));
    } finally {
      this.#room.leave(mostBytes);
    }
  }

  #file(name: string, file: PendingFile): TreeItem {
    this.files += 1;
    return new FileItem(name, file);
  }

  #lanes(): { readonly lanes: number; readonly signal: AbortSignal } {
    return { lanes: LANES, signal: this.#signal };
  }
}
