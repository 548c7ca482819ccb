import { repositoryError } from "../errors.ts";
import { objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { listFiles, listIds } from "../list.ts";
import { heldUntil } from "./held-objects.ts";
import { filesToReplace } from "./index-files.ts";
import { loadSnapshot } from "../snapshots.ts";
import { unpackedPrefix } from "../unpacked.ts";
import { isBelieved, isGone, readIndexFiles, stays } from "./pack-facts.ts";
import type { PackFacts, PackLedger } from "./pack-facts.ts";
import type { PruneState } from "./state.ts";
import { walkTrees } from "./tree-walk.ts";

const PARALLEL_STATS = 16;

/**
 * What appeared since the plan, and what it changes: a pack that a new snapshot counts on does not go. Asked under every
 * lock before anything is done. An index file that vanished means that somebody else pruned: the plan holds no more.
 */
export async function takeIn(
  core: RepositoryCore,
  state: PruneState,
  signal: AbortSignal,
): Promise<void> {
  const { ledger } = state;
  // Snapshots first: what they need is listed by the indexes that are read after them.
  const snapshots = await listIds(core.store, unpackedPrefix.snapshot, signal);
  const files = await listFiles(core.store, unpackedPrefix.index, signal);
  const listed = new Set(files.map(({ id }) => id));
  for (const id of ledger.files.keys()) if (!listed.has(id)) throw stale(id);
  const fresh = files.filter(({ id }) => !ledger.files.has(id));
  const packsBefore = ledger.packs.length;
  await readIndexFiles(
    core,
    ledger,
    fresh,
    ({ packs }) => {
      for (const number of packs) relist(ledger.at(number));
    },
    signal,
  );
  await statNewPacks(core, ledger, packsBefore, signal);
  state.needs.fit(ledger.index);
  for (const id of snapshots.filter((snapshot) => !state.snapshots.has(snapshot))) {
    await takeInSnapshot(core, state, id, signal);
  }
}

/**
 * Index files that the store holds by now: a backup extends the lock of those that its point needs. They stay, and with them
 * the packs that they list: one that is listed and gone is damage to everybody else.
 */
export async function takeInHeld(
  core: RepositoryCore,
  { ledger, heldFiles }: PruneState,
  nowMs: number,
  signal: AbortSignal,
): Promise<void> {
  if (core.store.lock === undefined) return;
  const files = filesToReplace(ledger, heldFiles);
  const held = await heldUntil(core, files.map(objectKey.index), nowMs, signal);
  for (const id of files.filter((file) => held.has(objectKey.index(file)))) {
    heldFiles.add(id);
    for (const number of ledger.files.get(id)?.packs ?? []) {
      const pack = ledger.at(number);
      if (pack.fate === "mark" || pack.fate === "expired") pack.fate = "keep";
    }
  }
}

/** Somebody lists it as in use: it is not ours to remove. */
function relist(pack: PackFacts): void {
  if (pack.fate !== "repack") pack.fate = "keep";
}

async function statNewPacks(
  core: RepositoryCore,
  { packs }: PackLedger,
  from: number,
  signal: AbortSignal,
): Promise<void> {
  for (let at = from; at < packs.length; at += PARALLEL_STATS) {
    const group = packs.slice(at, Math.min(at + PARALLEL_STATS, packs.length));
    await Promise.all(
      group.map(async (pack) => {
        const stat = await core.store.stat(objectKey.pack(pack.id), { signal });
        pack.storedBytes = stat?.sizeBytes ?? -1;
        if (!pack.live) pack.fate = "waiting";
      }),
    );
  }
}

async function takeInSnapshot(
  core: RepositoryCore,
  state: PruneState,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  const { ledger, needs } = state;
  try {
    const { tree } = await loadSnapshot(core, id, signal);
    await walkTrees(
      state.reader,
      [tree],
      (position) => {
        // Needed by the plan already: it stays, or was copied.
        if (ledger.index.placesOf(position).some((place) => needs.has(place))) return false;
        needs.set(rescue(ledger, position), 0);
        return true;
      },
      { signal },
    );
  } catch (thrown) {
    // Forgotten since it was listed.
    if (isGone(thrown)) return;
    throw thrown;
  }
  state.snapshots.add(id);
}

/** The place that the blob stays at; its pack is taken out of those that go where no other holds it. */
function rescue(ledger: PackLedger, position: number): number {
  const places = ledger.index.placesOf(position).filter((place) => {
    return ledger.packOf(place).storedBytes >= 0;
  });
  const best = places.toSorted((a, b) => rankOf(ledger.packOf(b)) - rankOf(ledger.packOf(a)))[0];
  if (best === undefined) {
    throw repositoryError("blob_not_found", {
      message: "needed blob of a new snapshot whose pack is gone",
      subject: { packs: ledger.packOf(position).id },
    });
  }
  const pack = ledger.packOf(best);
  // Not yet copied: it will be, with what the plan needs of it.
  if (pack.fate !== "repack" && !stays(pack)) pack.fate = pack.live ? "keep" : "recover";
  return best;
}

function rankOf(pack: PackFacts): number {
  return (isBelieved(pack) ? 4 : 0) + (stays(pack) ? 2 : 0) + (pack.live ? 1 : 0);
}

function stale(index: string): Error {
  return repositoryError("prune_plan_stale", {
    message: `prune plan whose index ${index.slice(0, 8)} is gone`,
    subject: { index },
  });
}
