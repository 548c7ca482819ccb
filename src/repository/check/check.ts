import { throwIfAborted } from "../../kernel/index.ts";
import type { RepositoryCore } from "../core.ts";
import { BlobIndex } from "../index/blob-index.ts";
import { takeIndexFiles } from "../index/load-index.ts";
import { BlobReader } from "../read/blob-reader.ts";
import { loadReadableSnapshots } from "../snapshots.ts";
import type { CheckablePack, CheckOptions, CheckReport, Snapshot } from "../types.ts";
import { checkData } from "./check-data.ts";
import { checkConflicts, checkKeys, checkLocks, checkPacks } from "./check-packs.ts";
import type { CheckStep, KnownPacks } from "./check-packs.ts";
import { TreeCheck } from "./check-trees.ts";
import { checkUnknownKeys } from "./check-unknown-keys.ts";
import { Findings } from "./findings.ts";

/**
 * What is wrong with the repository, as values; only a store that cannot be asked throws.
 *
 *   1. snapshots, then indexes, then the list of packs: a writer at work then only adds packs that nobody refers to
 *   2. packs: named and there, of the size that the index says
 *   3. trees of every snapshot: readable, their blobs placed, file sizes right
 *   4. with `readData` every pack, or those chosen: its name, its header, each blob's hash
 */
export async function checkRepository(
  core: RepositoryCore,
  options: CheckOptions,
): Promise<CheckReport> {
  const { signal, readData } = options;
  const findings = new Findings();
  const step: CheckStep = { core, findings, ...(signal === undefined ? {} : { signal }) };
  await checkKeys(step);
  await checkUnknownKeys(step);
  await checkLocks(step, core.clock);
  const snapshots = await readSnapshots(step);
  const index = await readIndex(step);
  const packs = await checkPacks(step, index);
  checkConflicts(step, index);
  const reader = new BlobReader(core, index);
  const checkable = checkablePacks(index, packs);
  const numbers = readData ? chosenNumbers(index, checkable, options) : [];
  const totalBytes = numbers.reduce((sum, number) => sum + (packs.sizes[number] ?? 0), 0);
  let doneBytes = 0;
  let treesDone = false;
  const tellBytes = (): void => options.onProgress?.({ doneBytes, totalBytes, step: "data" });
  // Both at once: while threads verify packs, this one walks the trees. One is told after the other.
  const [data] = await together(signal, [
    (inner) =>
      checkData({ ...step, signal: inner }, reader, packs, numbers, (sizeBytes) => {
        doneBytes += sizeBytes;
        if (treesDone) tellBytes();
      }),
    async (inner) => {
      await checkTrees({ ...step, signal: inner }, reader, packs, snapshots, options);
      treesDone = true;
      if (readData) tellBytes();
    },
  ]);
  return {
    findings: findings.all(),
    snapshots: snapshots.length,
    packs: index.packIds.length,
    blobs: index.size,
    totalBytes: checkable.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    checkable,
    ...data,
  };
}

function checkablePacks(index: BlobIndex, packs: KnownPacks): readonly CheckablePack[] {
  return index.packIds.flatMap((id, number) => {
    const sizeBytes = packs.sizes[number] ?? -1;
    const storedAt = new Date(packs.storedAtMs[number] ?? 0);
    return sizeBytes < 0 ? [] : [{ id, sizeBytes, storedAt }];
  });
}

function chosenNumbers(
  index: BlobIndex,
  checkable: readonly CheckablePack[],
  { choose }: CheckOptions,
): readonly number[] {
  const ids = choose === undefined ? checkable.map(({ id }) => id) : choose(checkable);
  return [...new Set(ids)].flatMap((id) => index.knownPackNumber(id) ?? []);
}

/** Both are over when this returns or throws; what goes wrong with one stops the other. */
async function together<First, Second>(
  outer: AbortSignal | undefined,
  [first, second]: readonly [
    (signal: AbortSignal) => Promise<First>,
    (signal: AbortSignal) => Promise<Second>,
  ],
): Promise<readonly [First, Second]> {
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, ...(outer === undefined ? [] : [outer])]);
  const guarded = async <Result>(
    work: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> => {
    try {
      return await work(signal);
    } catch (thrown) {
      stop.abort(thrown);
      throw thrown;
    }
  };
  const running = [guarded(first), guarded(second)] as const;
  const settled = await Promise.allSettled(running);
  throwIfAborted(outer);
  if (settled.some(({ status }) => status === "rejected")) throw stop.signal.reason;
  return await Promise.all(running);
}

async function checkTrees(
  step: CheckStep,
  reader: BlobReader,
  packs: Awaited<ReturnType<typeof checkPacks>>,
  snapshots: readonly Snapshot[],
  { onProgress }: CheckOptions,
): Promise<void> {
  const trees = new TreeCheck(step, reader, packs);
  for (const [done, snapshot] of snapshots.entries()) {
    await trees.check(snapshot);
    onProgress?.({
      doneBytes: 0,
      totalBytes: 0,
      step: `snapshot ${done + 1} of ${snapshots.length}`,
    });
  }
}

async function readSnapshots({ core, findings, signal }: CheckStep): Promise<readonly Snapshot[]> {
  const { snapshots, damaged } = await loadReadableSnapshots(core, signal);
  for (const { id, error } of damaged) {
    findings.add("snapshot_damaged", error.message, { snapshot: id });
  }
  return snapshots;
}

async function readIndex({ core, findings, signal }: CheckStep): Promise<BlobIndex> {
  const index = new BlobIndex();
  for await (const taken of takeIndexFiles(core, index, signal)) {
    if ("error" in taken) findings.add("index_damaged", taken.error.message, { index: taken.id });
  }
  return index;
}
