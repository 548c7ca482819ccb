import { Bitset } from "../bitset.ts";
import { checkPacks } from "../check/check-packs.ts";
import type { CheckStep, KnownPacks } from "../check/check-packs.ts";
import { TreeCheck } from "../check/check-trees.ts";
import { Findings } from "../check/findings.ts";
import type { RepositoryCore } from "../core.ts";
import type { BlobIndex } from "../index/blob-index.ts";
import { loadIndex } from "../index/load-index.ts";
import { packSizes } from "../index/lost-packs.ts";
import { BlobReader } from "../read/blob-reader.ts";
import type { Snapshot } from "../types.ts";

/**
 * Reads back what snapshots are about to refer to, as a stranger would: indexes and the list of packs afresh, every tree
 * opened, every blob of every file placed in a pack that is there at its full size, the sizes of files added up. Answers
 * in words what is wrong, by the tree's id; nothing for a tree that is whole.
 */
export async function faultsOfTrees(
  core: RepositoryCore,
  snapshots: readonly Snapshot[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const index = await loadIndex(core, signal);
  const waits = signal === undefined ? {} : { signal };
  const packs = await wholePacks({ core, findings: new Findings(), ...waits }, index);
  const check = async (list: readonly Snapshot[]): Promise<string | undefined> => {
    const findings = new Findings();
    const trees = new TreeCheck({ core, findings, ...waits }, new BlobReader(core, index), packs);
    for (const snapshot of list) await trees.check(snapshot);
    return findings.all().find(({ severity }) => severity === "error")?.message;
  };
  const faults = new Map<string, string>();
  if ((await check(snapshots)) === undefined) return faults;
  // Trees that several share were looked at once, for the first of them: now each by itself.
  for (const snapshot of snapshots) {
    const fault = await check([snapshot]);
    if (fault !== undefined) faults.set(snapshot.tree, fault);
  }
  return faults;
}

/** A pack of another size than its blobs make together counts as missing. */
async function wholePacks(step: CheckStep, index: BlobIndex): Promise<KnownPacks> {
  const packs = await checkPacks(step, index);
  const missing = new Bitset(index.packIds.length);
  const expectedBytes = packSizes(index);
  index.packIds.forEach((_, number) => {
    if (packs.sizes[number] !== expectedBytes[number]) missing.add(number);
  });
  return { ...packs, missing };
}
