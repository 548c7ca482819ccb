import { throwIfAborted } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { repositoryError } from "../errors.ts";
import { parseJson, objectOf } from "../json.ts";
import { isShard, trueName } from "../read/walk.ts";
import { utf8LengthAt } from "../tree/go-json.ts";
import { storedNameOf } from "../tree/names.ts";
import { formatDirNode } from "../tree/node.ts";
import type { TreeNode } from "../tree/node.ts";
import { parseTreeTexts } from "../tree/parse-tree.ts";
import { SHARD_PREFIX } from "../tree/shard.ts";
import { childOf, namesOf } from "./path-set.ts";
import type { PathSet } from "./path-set.ts";

export interface TreeAccess {
  readonly load: (tree: string) => Promise<Bytes>;
  /** Answers the id. */
  readonly save: (json: Bytes) => Promise<string>;
  readonly signal?: AbortSignal;
}

interface Rewritten {
  readonly tree: string;
  readonly empty: boolean;
  /** Of the first node, without a shard's prefix. */
  readonly first: Bytes | undefined;
}

interface Kept {
  readonly node: TreeNode;
  readonly text: Bytes;
}

const MAX_DEPTH = 4096;

/**
 * The same tree without some entries. Only trees on the way to them are new; every other node keeps its bytes, times of
 * folders included, as `restic rewrite --exclude` does, and like there a folder that is left empty stays. A shard is no
 * folder: an empty one goes, and one that was named after an entry that is gone is named after the next.
 */
export async function treeWithout(tree: string, set: PathSet, access: TreeAccess): Promise<string> {
  return (await rewritten(tree, set, access, 0)).tree;
}

async function rewritten(
  tree: string,
  set: PathSet,
  access: TreeAccess,
  depth: number,
): Promise<Rewritten> {
  throwIfAborted(access.signal);
  if (depth > MAX_DEPTH) throw damaged(tree, "nested too deep");
  const all = nodesOf(tree, await access.load(tree));
  const concerned = shardsConcerned(all, set);
  const kept: Kept[] = [];
  for (const item of all) {
    const left = isShard(item.node)
      ? await shardWithout(item, concerned.get(item.node), access, depth)
      : await entryWithout(item, childOf(set, trueName(item.node)), access, depth);
    if (left !== undefined) kept.push(left);
  }
  const first = kept[0] === undefined ? undefined : bareName(kept[0].node);
  const empty = kept.length === 0;
  const same = kept.length === all.length && kept.every(({ text }, at) => text === all[at]?.text);
  if (same) return { tree, empty, first };
  return { tree: await access.save(treeOf(kept)), empty, first };
}

async function entryWithout(
  item: Kept,
  set: PathSet | undefined,
  access: TreeAccess,
  depth: number,
): Promise<Kept | undefined> {
  if (set === undefined) return item;
  if (set.whole) return undefined;
  const { subtree } = item.node;
  if (subtree === undefined) return item;
  const { tree } = await rewritten(subtree, set, access, depth + 1);
  return tree === subtree ? item : withSubtree(item, tree);
}

async function shardWithout(
  item: Kept,
  set: PathSet | undefined,
  access: TreeAccess,
  depth: number,
): Promise<Kept | undefined> {
  const { subtree } = item.node;
  if (set === undefined || subtree === undefined) return item;
  const { tree, empty, first } = await rewritten(subtree, set, access, depth + 1);
  if (tree === subtree) return item;
  if (empty || first === undefined) return undefined;
  const own = bareName(item.node);
  // Its name is the beginning of a name: of one that stays, or it would tell of one that is gone.
  if (Buffer.compare(first.subarray(0, own.byteLength), own) === 0) return withSubtree(item, tree);
  return renamedShard(item, leastPrefix(first, own), tree);
}

/** Which of the names lie in which shard: in the last one whose name is not greater. */
function shardsConcerned(all: readonly Kept[], set: PathSet): ReadonlyMap<TreeNode, PathSet> {
  const shards = all.map(({ node }) => node).filter(isShard);
  const found = new Map<TreeNode, PathSet>();
  if (shards.length === 0) return found;
  for (const name of namesOf(set)) {
    const stored = storedNameOf(name);
    const shard = shards.findLast((node) => Buffer.compare(bareName(node), stored) <= 0);
    if (shard !== undefined) found.set(shard, set);
  }
  return found;
}

function bareName(node: TreeNode): Bytes {
  return isShard(node) ? node.name.subarray(SHARD_PREFIX.length) : node.name;
}

/** The shortest whole-character beginning of `name` that is not less than `least`: it sorts where `least` did. */
function leastPrefix(name: Bytes, least: Bytes): Bytes {
  for (let at = 0; at < name.byteLength;) {
    at += Math.max(1, utf8LengthAt(name, at));
    const prefix = name.subarray(0, at);
    if (Buffer.compare(prefix, least) >= 0) return prefix;
  }
  return name;
}

function nodesOf(tree: string, json: Bytes): readonly Kept[] {
  return Array.from(parseTreeTexts(json), (item) => {
    if (item === undefined) throw damaged(tree, "that is no tree");
    return { node: item.node, text: item.json };
  });
}

const OPEN = Buffer.from('{"nodes":[');
const COMMA = Buffer.from(",");
const CLOSE = Buffer.from("]}\n");

function treeOf(kept: readonly Kept[]): Bytes {
  const parts = kept.flatMap(({ text }, at) => (at === 0 ? [text] : [COMMA, text]));
  return Buffer.concat([OPEN, ...parts, CLOSE]);
}

/** Nothing but the id is another: fields that we do not know stay too, or restic would not take the tree for its own. */
function withSubtree({ node, text }: Kept, tree: string): Kept {
  const old = node.subtree ?? "";
  const json = Buffer.from(text).toString("latin1");
  // A quotation mark within a name or attribute is escaped, so the last of these is the field.
  const at = json.lastIndexOf(`"${old}"`);
  const changed = `${json.slice(0, at)}"${tree}"${json.slice(at + old.length + 2)}`;
  const bytes = Buffer.from(changed, "latin1");
  if (objectOf(parseJson(bytes))?.["subtree"] !== tree) {
    throw damaged(old, "of a folder that cannot be written again");
  }
  return { node: { ...node, subtree: tree }, text: bytes };
}

function renamedShard({ node }: Kept, name: Bytes, subtree: string): Kept {
  const stored = Buffer.concat([Buffer.from(SHARD_PREFIX), name]);
  const { mode, modifiedAt } = node;
  const attributes = [...node.attributes].sort(([a], [b]) => (a < b ? -1 : 1));
  const text = formatDirNode({ name: stored, mode, modifiedAt, attributes, subtree });
  return { node: { ...node, name: stored, subtree }, text: Buffer.from(text) };
}

function damaged(tree: string, what: string): Error {
  return repositoryError("tree_damaged", {
    message: `tree ${tree.slice(0, 8)} ${what}`,
    subject: { tree },
  });
}
