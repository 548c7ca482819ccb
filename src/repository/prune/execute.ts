import { coreOf } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { repositoryError } from "../errors.ts";
import { acquireLock } from "../lock/lock.ts";
import type { Repository } from "../types.ts";
import { copyBlobs } from "./copy-blobs.ts";
import type { CopiedBlobs } from "./copy-blobs.ts";
import { filesToReplace } from "./index-files.ts";
import type { PackFacts } from "./pack-facts.ts";
import { removePacks } from "./remove-packs.ts";
import type { RemovablePack } from "./remove-packs.ts";
import { replaceIndexFiles } from "./replace-index.ts";
import { inSlices, signalOf } from "./slices.ts";
import { takeState } from "./state.ts";
import type { PruneState } from "./state.ts";
import { takeIn } from "./take-in.ts";
import type {
  DamagedBlob,
  ExecutePruneOptions,
  PackTotals,
  PrunePlan,
  PruneReport,
} from "./types.ts";
import { hasDoubles, verifyDoubles } from "./verify-doubles.ts";

/**
 * Carries a plan out, once. I1 in reverse, each step durable before the next:
 *
 *   shared lock     1. what appeared since the plan is taken in
 *                   2. needed blobs of packs to be rewritten -> new packs -> an index that lists them
 *                   3. copies that stay while others go are read
 *   exclusive lock  4. index files that list, as marked or not at all, what is no longer needed -> the old ones go
 *   (in slices)     5. packs that no index lists any more, and whose time has come, go
 *
 * Before every slice what appeared is taken in again. Stopped anywhere, the repository is whole, and another plan goes on:
 * what is twice there is found as second copies, what is in no index as left behind.
 */
export async function executePrune(
  repository: Repository,
  plan: PrunePlan,
  options: ExecutePruneOptions,
): Promise<PruneReport> {
  const core = coreOf(repository);
  const state = plan.repository === repository.id ? takeState(plan) : undefined;
  if (state === undefined) {
    throw repositoryError("prune_plan_spent", {
      message: "prune plan that was executed already, or is of another place",
      subject: { repository: repository.id },
    });
  }
  const planned = state.ledger.packs.filter(isGoing);
  const { copied, written, damaged } = await rewrite(core, state, plan, options);
  const before = new Set(state.ledger.packs.filter(({ fate }) => fate === "mark"));
  const removed = await remove(core, state, options);
  const keptAfterAll = planned.filter((pack) => !isGoing(pack)).map(({ id }) => id);
  const incomplete = damaged.length > 0 || removed.refused.length > 0;
  return {
    outcome: incomplete ? "incomplete" : "complete",
    copied,
    written,
    marked: totals([...before].filter(({ fate }) => fate === "mark")),
    removed: { packs: removed.packs, bytes: removed.bytes },
    recovered: totals(state.ledger.packs.filter(({ fate }) => fate === "recover")),
    keptAfterAll,
    damaged,
    refused: removed.refused,
  };
}

function isGoing({ fate }: PackFacts): boolean {
  return fate === "repack" || fate === "mark" || fate === "expired";
}

function totals(packs: readonly PackFacts[]): PackTotals {
  return { packs: packs.length, bytes: packs.reduce((sum, pack) => sum + pack.storedBytes, 0) };
}

/** Steps 1 to 3. Backups run on meanwhile. */
async function rewrite(
  core: RepositoryCore,
  state: PruneState,
  plan: PrunePlan,
  options: ExecutePruneOptions,
): Promise<CopiedBlobs> {
  const idle = plan.repack.packs === 0 && !hasDoubles(state);
  if (idle) {
    await state.lock?.[Symbol.asyncDispose]();
    return { copied: { blobs: 0, bytes: 0 }, written: { packs: 0, bytes: 0 }, damaged: [] };
  }
  const waits = options.signal === undefined ? {} : { signal: options.signal };
  await using lock =
    state.lock ?? (await acquireLock(core, { exclusive: false, owner: options.owner, ...waits }));
  const signal = signalOf(lock, options);
  await takeIn(core, state, signal);
  let copiedBytes = 0;
  const total = plan.repack.copied.bytes;
  const copied = await copyBlobs(core, state, signal, (bytes) => {
    copiedBytes += bytes;
    options.onProgress?.({ step: "repack", done: copiedBytes, total });
  });
  let readBytes = 0;
  const unsure = await verifyDoubles(state, signal, (bytes) => {
    readBytes += bytes;
    options.onProgress?.({ step: "verify", done: readBytes, total: 0 });
  });
  settleRewritten(state, copied.damaged);
  return { ...copied, damaged: [...copied.damaged, ...unsure] };
}

/** From here on the old packs are as those that nobody needs; one with a damaged blob stays for a repair. */
function settleRewritten(state: PruneState, damaged: readonly DamagedBlob[]): void {
  const untouched = new Set(damaged.map(({ pack }) => pack));
  for (const pack of state.ledger.packs) {
    if (pack.fate !== "repack") continue;
    if (untouched.has(pack.id)) pack.fate = "keep";
    else pack.fate = state.graceMs === 0 ? "expired" : "mark";
  }
}

/** Steps 4 and 5. What goes is asked anew in every slice: it may be needed, or listed, meanwhile. */
async function remove(
  core: RepositoryCore,
  state: PruneState,
  options: ExecutePruneOptions,
): Promise<{ packs: number; bytes: number; refused: readonly string[] }> {
  const found = { packs: 0, bytes: 0, refused: new Array<string>() };
  const done = new Set<string>();
  const candidates = (): readonly RemovablePack[] =>
    removablePacks(state).filter(({ id }) => !done.has(id));
  const filesLeft = (): number => filesToReplace(state.ledger, state.heldFiles).length;
  if (filesLeft() === 0 && candidates().length === 0) return found;
  let replaced = 0;
  const onReplaced = (): void => {
    replaced += 1;
    options.onProgress?.({ step: "index", done: replaced, total: replaced + filesLeft() });
  };
  await inSlices(core, state, options, async (slice) => {
    if (!(await replaceIndexFiles(core, state, slice, onReplaced))) return false;
    const going = candidates();
    const removed = await removePacks(core, going, slice);
    found.packs += removed.packs;
    found.bytes += removed.bytes;
    found.refused.push(...removed.refused);
    const left = new Set(removed.left.map(({ id }) => id));
    for (const { id } of going) if (!left.has(id)) done.add(id);
    forgetRemoved(state, going, new Set([...left, ...removed.refused]));
    if (going.length > 0) {
      options.onProgress?.({ step: "remove", done: done.size, total: done.size + left.size });
    }
    return left.size === 0;
  });
  return found;
}

/** What is gone is no place of a blob any more: a snapshot that appears and needs it is an error, not listed again. */
function forgetRemoved(
  { ledger }: PruneState,
  going: readonly RemovablePack[],
  there: ReadonlySet<string>,
): void {
  for (const { id } of going) {
    const number = there.has(id) ? undefined : ledger.numberOf(id);
    if (number !== undefined) ledger.at(number).storedBytes = -1;
  }
}

/** Taken out of the index, or in none for long enough and still in none. */
function removablePacks({ ledger, unlisted }: PruneState): readonly RemovablePack[] {
  const expired = ledger.packs.filter(
    ({ fate, storedBytes }) => fate === "expired" && storedBytes >= 0,
  );
  return [
    ...expired.map(({ id, storedBytes }) => ({ id, bytes: storedBytes })),
    ...unlisted
      .filter(({ id }) => ledger.numberOf(id) === undefined)
      .map(({ id, sizeBytes }) => ({ id, bytes: sizeBytes })),
  ];
}
