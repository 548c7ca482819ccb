import { throwIfAborted } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { NAME_ATTRIBUTE, storedNameOf } from "./names.ts";
import { formatDirNode, formatFileNode, formatTree } from "./node.ts";
import { PendingFolder } from "./pending.ts";
import type { PendingFile } from "./pending.ts";
import { needsShards, SHARD_ATTRIBUTE, SHARD_PREFIX, shardRanges } from "./shard.ts";
import type { ShardItem } from "./shard.ts";

/** Stores one tree blob and answers its id; durable only when the writer has flushed. */
export type SaveTreeBlob = (json: Bytes) => Promise<string>;

export interface SavedTree {
  readonly tree: string;
  readonly files: number;
  /** Newest of everything below: a folder of unchanged files keeps its node, and with it every tree above. */
  readonly newestMs: number;
}

const FOLDER_MODE = 0o700;

interface Item extends ShardItem {
  readonly json: () => string;
  readonly newestMs: number;
  readonly first?: Bytes;
}

/**
 * Folders after what they hold, one range of names at a time: of a huge folder only one shard is ever JSON. Folders
 * are dropped from memory as they are stored.
 */
export async function saveTree(
  root: PendingFolder,
  save: SaveTreeBlob,
  signal?: AbortSignal,
): Promise<SavedTree> {
  const { items, files } = await saveChildren(root, save, signal);
  const tree = await saveItems(items, save, signal);
  return { tree, files, newestMs: newestOf(items) };
}

async function saveChildren(
  folder: PendingFolder,
  save: SaveTreeBlob,
  signal?: AbortSignal,
): Promise<{ items: Item[]; files: number }> {
  throwIfAborted(signal);
  const items: Item[] = [];
  let files = 0;
  for (const [key, child] of folder.children) {
    const trueName = Buffer.from(key, "latin1");
    if (child === "reserved") continue;
    if (child instanceof PendingFolder) {
      const below = await saveChildren(child, save, signal);
      // All of it was abandoned: a folder is there only for what it holds.
      if (below.items.length === 0) continue;
      files += below.files;
      const tree = await saveItems(below.items, save, signal);
      items.push(folderItem(trueName, tree, newestOf(below.items)));
    } else {
      files += 1;
      items.push(fileItem(trueName, child));
    }
  }
  folder.children.clear();
  items.sort((a, b) => Buffer.compare(a.name, b.name));
  return { items, files };
}

async function saveItems(items: Item[], save: SaveTreeBlob, signal?: AbortSignal): Promise<string> {
  let level: readonly Item[] = items;
  for (let depth = 0; needsShards(level); depth += 1) {
    const shards: Item[] = [];
    for (const { name, first, from, to } of shardRanges(level, depth)) {
      throwIfAborted(signal);
      const within = level.slice(from, to);
      const tree = await save(formatTree(within.map((item) => item.json())));
      shards.push(shardItem(name, first, tree, newestOf(within)));
    }
    // Names that share 253 bytes cannot be told apart by a shard's name; then one more level would change nothing.
    if (shards.length >= level.length) break;
    level = shards;
  }
  return await save(formatTree(level.map((item) => item.json())));
}

function newestOf(items: readonly Item[]): number {
  return items.reduce((newest, item) => Math.max(newest, item.newestMs), 0);
}

function fileItem(trueName: Bytes, file: PendingFile): Item {
  const name = storedNameOf(trueName);
  const json = (): string =>
    formatFileNode({
      name,
      mode: file.mode,
      modifiedAt: new Date(file.modifiedAtMs),
      sizeBytes: file.sizeBytes,
      content: Buffer.from(file.content, "latin1"),
      attributes: attributesOf(name, trueName, file.attributes),
    });
  const jsonBytes = 200 + name.byteLength + (file.content.length / 32) * 67;
  return { name, json, jsonBytes, newestMs: file.modifiedAtMs };
}

function folderItem(trueName: Bytes, tree: string, newestMs: number): Item {
  const name = storedNameOf(trueName);
  const attributes = attributesOf(name, trueName, []);
  return dirItem(name, name, tree, newestMs, attributes);
}

function shardItem(name: Bytes, first: Bytes, tree: string, newestMs: number): Item {
  const stored = Buffer.concat([Buffer.from(SHARD_PREFIX), name]);
  const mark = [[SHARD_ATTRIBUTE, Buffer.from("1")]] as const;
  return { ...dirItem(name, stored, tree, newestMs, mark), first };
}

function dirItem(
  name: Bytes,
  stored: Bytes,
  subtree: string,
  newestMs: number,
  attributes: readonly (readonly [string, Bytes])[],
): Item {
  const modifiedAt = new Date(newestMs);
  const json = (): string =>
    formatDirNode({ name: stored, mode: FOLDER_MODE, modifiedAt, attributes, subtree });
  return { name, json, jsonBytes: 300 + name.byteLength, newestMs };
}

function attributesOf(
  name: Bytes,
  trueName: Bytes,
  own: PendingFile["attributes"] = [],
): readonly (readonly [string, Bytes])[] {
  const list: (readonly [string, Bytes])[] = own.map(([key, value]) => [
    key,
    Buffer.from(value, "latin1"),
  ]);
  if (Buffer.compare(name, trueName) !== 0) list.push([NAME_ATTRIBUTE, trueName]);
  return list.sort(([a], [b]) => (a < b ? -1 : 1));
}
