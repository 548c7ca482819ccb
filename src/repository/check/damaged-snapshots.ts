import { AppError, fromHex, throwIfAborted, toHex } from "../../kernel/index.ts";
import type { SnapshotId } from "../../kernel/index.ts";
import { Bitset } from "../bitset.ts";
import { coreOf } from "../core.ts";
import type { BlobIndex } from "../index/blob-index.ts";
import { loadIndex } from "../index/load-index.ts";
import { BlobReader } from "../read/blob-reader.ts";
import { loadReadableSnapshots } from "../snapshots.ts";
import type { ReadableSnapshots } from "../snapshots.ts";
import type { TreeNode } from "../tree/node.ts";
import { parseTree } from "../tree/parse-tree.ts";
import type { CheckFinding, Repository, Snapshot } from "../types.ts";
import { checkPacks, positionsOf } from "./check-packs.ts";
import type { KnownPacks } from "./check-packs.ts";
import { Findings } from "./findings.ts";

/** Deeper than any true folder: what is nested so is no tree of ours. */
const MAX_DEPTH = 4096;

/** Of these a check lists only the first thousand, and nothing else tells which blobs the others are. */
const ONLY_IN_FINDINGS = new Set(["blob_damaged", "index_differs"]);

/**
 * The snapshots that do not come back whole, after a check that found damage. A blob counts as lost only when it opens at
 * none of its places; each tree is read once, whichever snapshots share it. All of them count where the index itself is
 * damaged, or where the check found more damaged blobs than it lists: nobody knows better.
 *
 * Which packs are gone or of another size is looked at anew: a check that did not read them names the pack alone, and one
 * that ran beside a prune may name packs that nobody needs any more.
 */
export async function damagedSnapshots(
  repository: Repository,
  snapshots: readonly Snapshot[],
  findings: readonly CheckFinding[],
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<readonly SnapshotId[]> {
  const errors = findings.filter(({ severity }) => severity === "error");
  if (errors.length === 0) return [];
  if (errors.some(saysTooLittle)) return snapshots.map(({ id }) => id);
  const core = coreOf(repository);
  const index = await loadIndex(core, signal, { marked: true });
  const reader = new BlobReader(core, index);
  const doubtful = new Set(errors.flatMap(({ subject }) => subject["blob"] ?? []));
  const step = { core, findings: new Findings(), ...(signal === undefined ? {} : { signal }) };
  for (const blob of blobsOfOddPacks(index, await checkPacks(step, index))) doubtful.add(blob);
  const walk = new DamageWalk(reader, await lostBlobs(reader, doubtful, signal), signal);
  const damaged: SnapshotId[] = [];
  for (const snapshot of snapshots) {
    if (await walk.isDamaged(snapshot.tree, 0)) damaged.push(snapshot.id);
  }
  return damaged;
}

/** Without those whose file is damaged, which are named. */
export async function readableSnapshots(
  repository: Repository,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<ReadableSnapshots> {
  return await loadReadableSnapshots(coreOf(repository), signal);
}

function saysTooLittle({ code, subject }: CheckFinding): boolean {
  if (code === "index_damaged") return true;
  return code === "further_findings" && ONLY_IN_FINDINGS.has(subject["code"] ?? "");
}

/** Data blobs in packs that are gone or not of the size that the indexes say. Trees are all read anyway. */
function* blobsOfOddPacks(
  index: BlobIndex,
  { sizes, expected, groups }: KnownPacks,
): Generator<string> {
  for (const number of index.packIds.keys()) {
    if (sizes[number] === expected[number]) continue;
    for (const position of positionsOf(groups, number)) {
      if (!index.isTreeAt(position)) yield toHex(index.idAt(position));
    }
  }
}

/** Of these blobs those that really open nowhere. */
async function lostBlobs(
  reader: BlobReader,
  doubtful: ReadonlySet<string>,
  signal: AbortSignal | undefined,
): Promise<ReadonlySet<string>> {
  const lost = new Set<string>();
  for (const blob of doubtful) {
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
        damaged ||= node.content.some((blob) => this.#isLost(blob)) || !this.#hasItsSize(node);
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

  /** Where indexes disagree about a length a sum would prove nothing. */
  #hasItsSize({ type, content, sizeBytes }: TreeNode): boolean {
    if (type !== "file") return true;
    const { index } = this.#reader;
    let sumBytes = 0;
    for (const blob of content) {
      const lengths = index.positions(fromHex(blob), "data").map((p) => index.plainLengthAt(p));
      if (new Set(lengths).size !== 1) return true;
      sumBytes += lengths[0] ?? 0;
    }
    return sumBytes === sizeBytes;
  }

  #isLost(blob: string): boolean {
    return this.#lost.has(blob) || !this.#reader.index.has(fromHex(blob), "data");
  }
}
