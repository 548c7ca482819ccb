import type { Bytes } from "../../kernel/index.ts";
import { NAME_ATTRIBUTE, storedKeyOf } from "./names.ts";
import { formatDirNode, formatFileNode } from "./node.ts";
import type { PendingFile } from "./pending.ts";
import { SHARD_ATTRIBUTE, SHARD_PREFIX } from "./shard.ts";
import type { ShardItem } from "./shard.ts";

/**
 * An entry of a tree that is about to be stored. Of a flat folder there is one for each file at once: nothing is kept
 * that can be made when its turn comes. Names are Latin-1 strings, a character a byte.
 */
export interface TreeItem extends ShardItem {
  readonly newestMs: number;
  /** What the JSON can take at most. The estimate by which folders are cut must stay as it is: trees would change. */
  readonly mostBytes: number;
  json(): string;
}

type Attributes = readonly (readonly [string, Bytes])[];

const FOLDER_MODE = 0o700;

/** Of a node without its name, its content and its attributes. */
const MOST_FIXED = 512;
/** A byte that needs both escapes: `\\\\x01`, or `\\\\u0026` of a character that JSON escapes for HTML's sake. */
const MOST_OF_CHAR = 8;

/** An attribute's name may need JSON's escapes, its value is base64. */
function mostOf(key: string, value: string): number {
  return 40 + key.length * 6 + Math.ceil(value.length / 3) * 4;
}

export class FileItem implements TreeItem {
  readonly name: string;
  readonly #trueName: string;
  readonly #file: PendingFile;

  constructor(trueName: string, file: PendingFile) {
    this.name = storedKeyOf(trueName);
    this.#trueName = trueName;
    this.#file = file;
  }

  get newestMs(): number {
    return this.#file.modifiedAtMs;
  }

  get jsonBytes(): number {
    return 200 + this.name.length + (this.#file.content.length / 32) * 67;
  }

  get mostBytes(): number {
    const { content, attributes = [] } = this.#file;
    const own = attributes.reduce((sum, [key, value]) => sum + mostOf(key, value), 0);
    const named = mostOf(NAME_ATTRIBUTE, this.#trueName);
    return MOST_FIXED + this.name.length * MOST_OF_CHAR + (content.length / 32) * 67 + own + named;
  }

  json(): string {
    const { mode, modifiedAtMs, sizeBytes, content, attributes } = this.#file;
    return formatFileNode({
      name: bytesOf(this.name),
      mode,
      modifiedAt: new Date(modifiedAtMs),
      sizeBytes,
      content: bytesOf(content),
      attributes: attributesOf(this.name, this.#trueName, attributes),
    });
  }
}

export class FolderItem implements TreeItem {
  readonly name: string;
  readonly newestMs: number;
  readonly #trueName: string;
  readonly #tree: string;

  constructor(trueName: string, tree: string, newestMs: number) {
    this.name = storedKeyOf(trueName);
    this.newestMs = newestMs;
    this.#trueName = trueName;
    this.#tree = tree;
  }

  get jsonBytes(): number {
    return dirBytes(this.name);
  }

  get mostBytes(): number {
    const attribute = mostOf(NAME_ATTRIBUTE, this.#trueName);
    return MOST_FIXED + this.name.length * MOST_OF_CHAR + attribute;
  }

  json(): string {
    const attributes = attributesOf(this.name, this.#trueName);
    return dirNode(this.name, this.#tree, this.newestMs, attributes);
  }
}

/** A range of names of a huge folder, stored as a folder of its own. docs/spec/repository.md §shards */
export class ShardedItem implements TreeItem {
  readonly name: string;
  readonly first: string;
  readonly newestMs: number;
  readonly #tree: string;

  constructor(name: string, first: string, tree: string, newestMs: number) {
    this.name = name;
    this.first = first;
    this.newestMs = newestMs;
    this.#tree = tree;
  }

  get jsonBytes(): number {
    return dirBytes(this.name);
  }

  get mostBytes(): number {
    return MOST_FIXED + this.name.length * MOST_OF_CHAR;
  }

  json(): string {
    const mark = [[SHARD_ATTRIBUTE, Buffer.from("1")]] as const;
    return dirNode(`${SHARD_PREFIX}${this.name}`, this.#tree, this.newestMs, mark);
  }
}

/** In the order of their bytes. */
export function byName(a: TreeItem, b: TreeItem): number {
  if (a.name === b.name) return 0;
  return a.name < b.name ? -1 : 1;
}

export function newestOf(items: readonly TreeItem[]): number {
  return items.reduce((newest, item) => Math.max(newest, item.newestMs), 0);
}

function dirBytes(name: string): number {
  return 300 + name.length;
}

function dirNode(name: string, subtree: string, newestMs: number, attributes: Attributes): string {
  const modifiedAt = new Date(newestMs);
  return formatDirNode({ name: bytesOf(name), mode: FOLDER_MODE, modifiedAt, attributes, subtree });
}

function attributesOf(
  name: string,
  trueName: string,
  own: PendingFile["attributes"] = [],
): Attributes {
  const list = own.map(([key, value]) => [key, bytesOf(value)] as const);
  if (name !== trueName) list.push([NAME_ATTRIBUTE, bytesOf(trueName)]);
  return list.sort(([a], [b]) => (a < b ? -1 : 1));
}

function bytesOf(text: string): Bytes {
  return Buffer.from(text, "latin1");
}
