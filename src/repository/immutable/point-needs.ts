import { fromHex, throwIfAborted } from "../../kernel/index.ts";
import type { BlobId, Bytes } from "../../kernel/index.ts";
import { Bitset } from "../bitset.ts";
import { repositoryError } from "../errors.ts";
import type { BlobReader } from "../read/blob-reader.ts";
import type { BlobType } from "../seal.ts";
import { parseTree } from "../tree/parse-tree.ts";

/** The packs without which a snapshot does not come back, by their numbers in the index. */
export interface PointNeeds {
  /** Each holds something that lies nowhere else. */
  readonly packs: Bitset;
  /** Of each of these one is enough: the places of blobs that lie in several packs. */
  readonly choices: readonly (readonly number[])[];
}

/** Reads every tree of the snapshot, each once. */
export async function pointNeeds(
  reader: BlobReader,
  tree: BlobId,
  signal?: AbortSignal,
): Promise<PointNeeds> {
  const { index } = reader;
  const packs = new Bitset(index.packIds.length);
  const choices = new Map<string, readonly number[]>();
  const seen = new Bitset(index.size);
  /** False where it was noted before. */
  const note = (id: Bytes, type: BlobType): boolean => {
    const positions = index.positions(id, type);
    const [first] = positions;
    if (first === undefined) throw notThere(id, type);
    if (!seen.add(first)) return false;
    const numbers = [...new Set(positions.map((position) => index.packNumberAt(position)))];
    const [only] = numbers;
    if (numbers.length === 1 && only !== undefined) packs.add(only);
    else choices.set(numbers.join(), numbers);
    return true;
  };
  const pending = [fromHex(tree)];
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    throwIfAborted(signal);
    if (!note(id, "tree")) continue;
    for (const node of parseTree(await reader.load(id, "tree", signal))) {
      if (node === undefined) throw damagedTree(id);
      for (const blob of node.content) note(fromHex(blob), "data");
      if (node.subtree !== undefined) pending.push(fromHex(node.subtree));
    }
  }
  return { packs, choices: [...choices.values()] };
}

function notThere(id: Bytes, type: BlobType): Error {
  const blob = Buffer.from(id).toString("hex");
  return repositoryError("blob_not_found", {
    message: `${type} blob ${blob.slice(0, 8)} in no index`,
    subject: { blob },
  });
}

function damagedTree(id: Bytes): Error {
  const tree = Buffer.from(id).toString("hex");
  return repositoryError("tree_damaged", {
    message: `tree ${tree.slice(0, 8)} that is no tree`,
    subject: { tree },
  });
}
