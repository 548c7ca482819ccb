import { AppError, fromHex, throwIfAborted } from "../../kernel/index.ts";
import type { SnapshotId } from "../../kernel/index.ts";
import { Bitset } from "../bitset.ts";
import { coreOf } from "../core.ts";
import { loadIndex } from "../index/load-index.ts";
import { BlobReader } from "../read/blob-reader.ts";
import { parseTree } from "../tree/parse-tree.ts";
import type { CheckFinding, Repository, Snapshot } from "../types.ts";

/** Deeper than any true folder: what is nested so is no tree of ours. */
const MAX_DEPTH = 4096;

/**
 * The snapshots that do not come back whole, after a check that found damage. A blob counts as lost only when it opens at
 * none of its places; each tree is read once, whichever snapshots share it. Where a check lists only a part of what it found,
 * or the index itself is damaged, all of them count: nobody knows better.
 */
export async function damagedSnapshots(
  repository: Repository,
  snapshots: readonly Snapshot[],
  findings: readonly CheckFinding[],
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<readonly SnapshotId[]> {
  const errors = findings.filter(({ severity }) => severity === "error");
  if (errors.length === 0) return [];
  const all = snapshots.map(({ id }) => id);
  if (errors.some(({ code }) => code === "further_findings" || code === "index_damaged"))
    return all;
  const core = coreOf(repository);
  const reader = new BlobReader(core, await loadIndex(core, signal, { marked: true }));
  const walk = new DamageWalk(reader, await lostBlobs(reader, errors, signal), signal);
  const damaged: SnapshotId[] = [];
  for (const snapshot of snapshots) {
    if (await walk.isDamaged(snapshot.tree, 0)) damaged.push(snapshot.id);
  }
  return damaged;
}

/** Of the blobs that findings name those that really open nowhere. */
async function lostBlobs(
  reader: BlobReader,
  findings: readonly CheckFinding[],
  signal: AbortSignal | undefined,
): Promise<ReadonlySet<string>> {
  const lost = new Set<string>();
  for (const blob of new Set(findings.flatMap(({ subject }) => subject["blob"] ?? []))) {
    if (!(await opens(reader, blob, "data", signal))) lost.add(blob);
  }
  return lost;
}

async function opens(
  reader: BlobReader,
  id: string,
  type: "data" | "tree",
  signal: AbortSignal | undefined,
): Promise<boolean> {
  try {
    await reader.load(fromHex(id), type, signal);
    return true;
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.kind === "corrupt") return false;
    throw thrown;
  }
}

class DamageWalk {
  readonly #reader: BlobReader;
  readonly #lost: ReadonlySet<string>;
  readonly #signal: AbortSignal | undefined;
  /** By position of the tree in the index. */
  readonly #seen: Bitset;
  readonly #damaged: Bitset;

  constructor(reader: BlobReader, lost: ReadonlySet<string>, signal: AbortSignal | undefined) {
    this.#reader = reader;
    this.#lost = lost;
    this.#signal = signal;
    this.#seen = new Bitset(reader.index.size);
    this.#damaged = new Bitset(reader.index.size);
  }

  async isDamaged(tree: string, depth: number): Promise<boolean> {
    throwIfAborted(this.#signal);
    const position = this.#reader.index.position(fromHex(tree), "tree");
    if (position < 0 || depth >= MAX_DEPTH) return true;
    if (this.#seen.add(position) && (await this.#looksDamaged(tree, depth))) {
      this.#damaged.add(position);
    }
    return this.#damaged.has(position);
  }

  /** Folders below are all looked at, so that each is judged whoever asks for it next. */
  async #looksDamaged(tree: string, depth: number): Promise<boolean> {
    const subtrees: string[] = [];
    let damaged = false;
    try {
      for (const node of parseTree(await this.#reader.load(fromHex(tree), "tree", this.#signal))) {
        if (node === undefined) return true;
        damaged ||= node.content.some((blob) => this.#isLost(blob));
        if (node.subtree !== undefined) subtrees.push(node.subtree);
      }
    } catch (thrown) {
      if (thrown instanceof AppError && thrown.kind === "corrupt") return true;
      throw thrown;
    }
    for (const subtree of subtrees) {
      if (await this.isDamaged(subtree, depth + 1)) damaged = true;
    }
    return damaged;
  }

  #isLost(blob: string): boolean {
    return this.#lost.has(blob) || !this.#reader.index.has(fromHex(blob), "data");
  }
}
