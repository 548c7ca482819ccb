import { asBlobId, fromHex, toHex } from "../../kernel/index.ts";
import type { SnapshotId } from "../../kernel/index.ts";
import { faultsOfTrees } from "../copy/verify.ts";
import { loadFull } from "../copy/plan.ts";
import type { FullSnapshot } from "../copy/same-snapshot.ts";
import { coreOf } from "../core.ts";
import { repositoryError } from "../errors.ts";
import type { Remaining } from "../hold/standing.ts";
import type { JsonObject } from "../json.ts";
import { BlobReader } from "../read/blob-reader.ts";
import { blobIdOf } from "../seal.ts";
import type { EntryPath, Repository, Snapshot } from "../types.ts";
import { acquireBlobCopier } from "../write/blob-copier.ts";
import type { BlobCopier, CopierOwner } from "../write/blob-copier.ts";
import { erasuresOf, saveErasure } from "./erasure.ts";
import type { ErasedSnapshot } from "./erasure.ts";
import { forgetRewritten } from "./forget-rewritten.ts";
import { pathSet } from "./path-set.ts";
import type { RewritePlan } from "./plan.ts";
import { treeWithout } from "./tree-without.ts";

export interface RewriteOptions extends CopierOwner {
  /** Why, for the record; it is read by auditors and should name no person. */
  readonly reason: string;
  /** Remove the old snapshots, once the new ones are durable and were read back. */
  readonly forget: boolean;
  readonly signal?: AbortSignal;
  /** As of a copy: asked before a snapshot is written, and told after. */
  readonly beforeSnapshot?: (tree: string) => Promise<void>;
  readonly afterSnapshot?: (id: SnapshotId) => Promise<void>;
}

export interface RewrittenSnapshot {
  readonly from: SnapshotId;
  readonly to: SnapshotId;
  readonly tree: string;
  /** The same rewrite was found from a run that was cut. */
  readonly found: boolean;
}

export interface RewriteResult {
  /** `incomplete`: an old snapshot that was to be forgotten is still there. */
  readonly outcome: "complete" | "incomplete";
  readonly rewritten: readonly RewrittenSnapshot[];
  readonly forgotten: readonly SnapshotId[];
  /** Old ones that were to go and are still there. */
  readonly remaining: readonly Remaining<SnapshotId>[];
  /** Of the erasure; absent where an earlier run wrote it. */
  readonly record?: string;
}

/** restic marks a rewritten snapshot so, where the old one stays beside it. */
const REWRITE_TAG = "rewrite";

/**
 * New trees along the changed paths -> their index -> read back -> the record of the erasure -> the new snapshots -> only
 * then, under an exclusive lock, the old ones go (I1 and its reverse). Cut anywhere, the next call finds what is there.
 */
export async function executeRewrite(
  repository: Repository,
  plan: RewritePlan,
  options: RewriteOptions,
): Promise<RewriteResult> {
  const { made, rewritten, record } = await writeNew(repository, plan, options);
  const { forgotten, remaining } = options.forget
    ? await forgetRewritten(repository, made, options)
    : { forgotten: [], remaining: [] };
  return {
    outcome: remaining.length === 0 ? "complete" : "incomplete",
    rewritten,
    forgotten,
    remaining,
    ...(record === undefined ? {} : { record }),
  };
}

interface NewTree {
  readonly old: FullSnapshot;
  readonly tree: string;
  /** Of an earlier run. */
  readonly there: Snapshot | undefined;
}

interface Written {
  readonly old: Snapshot;
  readonly to: SnapshotId;
  readonly tree: string;
}

async function writeNew(
  repository: Repository,
  plan: RewritePlan,
  options: RewriteOptions,
): Promise<Pick<RewriteResult, "rewritten" | "record"> & { readonly made: readonly Written[] }> {
  const core = coreOf(repository);
  await using copier = await acquireBlobCopier(core, options);
  const { signal } = copier;
  const wanted = new Set(plan.rewrite.map(({ snapshot }) => snapshot.id));
  // Under the lock: what was forgotten since the plan is left out, what a cut run wrote is found.
  const all = await loadFull(repository, () => true, signal);
  const made = await newTrees(
    all.filter(({ snapshot }) => wanted.has(snapshot.id)),
    all,
    plan.without,
    copier,
    new BlobReader(core, copier.index),
  );
  await copier.flush();
  const faults = await faultsOfTrees(
    core,
    made.map(({ old, tree }) => ({ ...old.snapshot, ...treeOf(tree) })),
    signal,
  );
  const [fault] = faults.values();
  if (fault !== undefined) {
    throw repositoryError("copy_differs", { message: `rewritten snapshot, read back: ${fault}` });
  }
  const record = await recordErasure(repository, plan, made, options, signal);
  const rewritten: RewrittenSnapshot[] = [];
  const written: Written[] = [];
  for (const { old, tree, there } of made) {
    const from = old.snapshot.id;
    if (there === undefined) await options.beforeSnapshot?.(tree);
    const to = there?.id ?? (await copier.saveSnapshot(newFields(old, tree, options.forget)));
    if (there === undefined) await options.afterSnapshot?.(to);
    rewritten.push({ from, to, tree, found: there !== undefined });
    written.push({ old: old.snapshot, to, tree });
  }
  return { rewritten, made: written, ...(record === undefined ? {} : { record }) };
}

async function newTrees(
  old: readonly FullSnapshot[],
  all: readonly FullSnapshot[],
  without: readonly EntryPath[],
  copier: BlobCopier,
  reader: BlobReader,
): Promise<readonly NewTree[]> {
  const set = pathSet(without);
  const { signal } = copier;
  const made: NewTree[] = [];
  for (const full of old) {
    const tree = await treeWithout(full.snapshot.tree, set, {
      load: (id) => reader.load(fromHex(id), "tree", signal),
      save: async (json) => {
        const id = blobIdOf(json);
        if (!copier.knows(id, "tree")) await copier.copyTree({ id, plain: json });
        return toHex(id);
      },
      signal,
    });
    if (tree === full.snapshot.tree) continue;
    const there = all.find(
      ({ snapshot }) => snapshot.original === full.snapshot.id && snapshot.tree === tree,
    );
    made.push({ old: full, tree, there: there?.snapshot });
  }
  return made;
}

/** Before the snapshots, so that none lacks a file without a record that says why. */
async function recordErasure(
  repository: Repository,
  plan: RewritePlan,
  made: readonly NewTree[],
  options: RewriteOptions,
  signal: AbortSignal,
): Promise<string | undefined> {
  const missing: ErasedSnapshot[] = [];
  for (const { old, tree } of made) {
    const erasures = await erasuresOf(repository, { ...old.snapshot, ...treeOf(tree) }, { signal });
    const told = plan.without.every((path) => erasures.some((erasure) => erasure.covers(path)));
    if (told) continue;
    missing.push({ from: old.snapshot.id, fromTree: old.snapshot.tree, toTree: tree });
  }
  if (missing.length === 0) return undefined;
  return await saveErasure(
    repository,
    {
      at: coreOf(repository).clock.now(),
      by: options.username,
      host: options.hostname,
      reason: options.reason,
      snapshots: missing,
      paths: plan.without,
    },
    signal,
  );
}

/** As restic does: everything else stays, `original` is the old one's id, and a tag tells the two apart. */
function newFields({ snapshot, fields }: FullSnapshot, tree: string, forget: boolean): JsonObject {
  // restic's summary counts what is gone.
  const { summary: _summary, ...kept } = fields;
  const tags = [...new Set([...snapshot.tags, ...(forget ? [] : [REWRITE_TAG])])];
  return { ...kept, tree, original: snapshot.id, ...(tags.length === 0 ? {} : { tags }) };
}

function treeOf(tree: string): Pick<Snapshot, "tree"> {
  return { tree: asBlobId(tree) };
}
