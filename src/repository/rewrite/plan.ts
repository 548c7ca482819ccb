import { fromHex, throwIfAborted } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { coreOf, objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { repositoryError } from "../errors.ts";
import type { BlobIndex } from "../index/blob-index.ts";
import { loadIndex } from "../index/load-index.ts";
import { BlobReader } from "../read/blob-reader.ts";
import { TreeWalker } from "../read/walk.ts";
import type { TreeNode } from "../tree/node.ts";
import { bytesOfName, showPath } from "../tree/pending.ts";
import type { EntryPath, Repository, Snapshot } from "../types.ts";
import { pathSet } from "./path-set.ts";

export interface MatchedPath {
  readonly path: EntryPath;
  readonly type: TreeNode["type"];
  /** Of what is left out: the entry itself, or all below it. */
  readonly files: number;
  readonly sizeBytes: number;
}

export interface SnapshotWithPaths {
  readonly snapshot: Snapshot;
  readonly matched: readonly MatchedPath[];
}

/** Plain and printable. */
export interface RewritePlan {
  readonly repository: string;
  readonly without: readonly EntryPath[];
  /** Selected, and holding something of it; oldest first. */
  readonly rewrite: readonly SnapshotWithPaths[];
  /** Not selected, and holding it too: while they are there, nothing is erased. */
  readonly elsewhere: readonly SnapshotWithPaths[];
  /** Packs that hold what is left out; other files may share their blobs. */
  readonly packs: number;
  /** Until then the store removes some of these packs for nobody. Absent: no lock was read, see `locksRead`. */
  readonly lockedUntil?: Date;
  /** Whether the store can say what it holds against removal. */
  readonly locksRead: boolean;
}

export interface PlanRewriteOptions {
  readonly select: (snapshot: Snapshot) => boolean;
  readonly without: readonly EntryPath[];
  readonly signal?: AbortSignal;
}

/** Which snapshots hold the paths, and what that is. Looks at every snapshot, selected or not. */
export async function planRewrite(
  repository: Repository,
  { select, without, signal }: PlanRewriteOptions,
): Promise<RewritePlan> {
  // Refuses an empty path before anything is read.
  pathSet(without);
  const core = coreOf(repository);
  const snapshots = await repository.snapshots(signal === undefined ? {} : { signal });
  const reader = new BlobReader(core, await loadIndex(core, signal));
  const search = new PathSearch(reader, without, signal);
  const rewrite: SnapshotWithPaths[] = [];
  const elsewhere: SnapshotWithPaths[] = [];
  for (const snapshot of snapshots) {
    throwIfAborted(signal);
    const matched = await search.in(snapshot);
    if (matched.length > 0) (select(snapshot) ? rewrite : elsewhere).push({ snapshot, matched });
  }
  if (rewrite.length === 0) {
    throw repositoryError("path_not_found", {
      message: `no snapshot selected that holds ${without.map(showPath).join(", ")}`,
      subject: { path: without.map(showPath).join(", ").slice(0, 512) },
    });
  }
  const lockedUntil = await latestLock(core, search.packs(), signal);
  return {
    repository: repository.id,
    without,
    rewrite,
    elsewhere,
    packs: search.packs().length,
    ...(lockedUntil === undefined ? {} : { lockedUntil }),
    locksRead: core.store.lock !== undefined,
  };
}

class PathSearch {
  readonly #reader: BlobReader;
  readonly #walker: TreeWalker;
  readonly #paths: readonly (readonly Bytes[])[];
  readonly #signal: AbortSignal | undefined;
  readonly #packs = new Set<string>();

  constructor(reader: BlobReader, paths: readonly EntryPath[], signal: AbortSignal | undefined) {
    this.#reader = reader;
    this.#walker = new TreeWalker(reader);
    this.#paths = paths.map((path) => path.map(bytesOfName));
    this.#signal = signal;
  }

  async in(snapshot: Snapshot): Promise<readonly MatchedPath[]> {
    const matched: MatchedPath[] = [];
    for (const path of this.#paths) {
      const node = await this.#walker.find(snapshot.tree, path, this.#signal);
      if (node !== undefined) matched.push(await this.#measure(path, node));
    }
    return matched;
  }

  packs(): readonly string[] {
    return [...this.#packs];
  }

  async #measure(path: readonly Bytes[], node: TreeNode): Promise<MatchedPath> {
    let files = 0;
    let sizeBytes = 0;
    const take = ({ type, sizeBytes: bytes, content }: TreeNode): void => {
      if (type !== "file") return;
      files += 1;
      sizeBytes += bytes;
      for (const blob of content) this.#notePacks(this.#reader.index, fromHex(blob));
    };
    take(node);
    if (node.subtree !== undefined) {
      for await (const below of this.#walker.below(node.subtree, path, true, this.#signal)) {
        take(below.node);
      }
    }
    return { path, type: node.type, files, sizeBytes };
  }

  #notePacks(index: BlobIndex, blob: Bytes): void {
    for (const position of index.positions(blob, "data")) {
      this.#packs.add(index.packIds[index.packNumberAt(position)] ?? "");
    }
  }
}

const PARALLEL = 8;

async function latestLock(
  core: RepositoryCore,
  packs: readonly string[],
  signal?: AbortSignal,
): Promise<Date | undefined> {
  const { lock } = core.store;
  if (lock === undefined) return undefined;
  const waits = signal === undefined ? {} : { signal };
  let latest: Date | undefined;
  for (let at = 0; at < packs.length; at += PARALLEL) {
    const group = packs.slice(at, at + PARALLEL);
    const found = await Promise.all(
      group.map((pack) => lock.retentionOf(objectKey.pack(pack), waits)),
    );
    for (const retention of found) {
      const until = retention?.until;
      if (until !== undefined && (latest === undefined || until > latest)) latest = until;
    }
  }
  return latest;
}
