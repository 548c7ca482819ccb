import { throwIfAborted } from "../../kernel/index.ts";
import { requireStillThere } from "../config.ts";
import { coreOf, objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { listFiles } from "../list.ts";
import { beginLock } from "../lock/lock.ts";
import type { Lock } from "../lock/lock.ts";
import { BlobReader } from "../read/blob-reader.ts";
import { loadSnapshots } from "../snapshots.ts";
import type { Repository, Snapshot } from "../types.ts";
import { unpackedPrefix } from "../unpacked.ts";
import { decideFates } from "./decide.ts";
import type { DecideOptions } from "./decide.ts";
import { heldUntil, packsHeldUntil } from "./held-objects.ts";
import { filesToReplace, isOutdated } from "./index-files.ts";
import { groupByLifetime, Needs } from "./needs.ts";
import { PackLedger, readIndexFiles, readStoredPacks } from "./pack-facts.ts";
import type { PackFacts, StoredPacks, UnlistedPack } from "./pack-facts.ts";
import { describePlan } from "./plan-value.ts";
import type { Held } from "./plan-value.ts";
import { settleNeeds } from "./settle.ts";
import { signalOf } from "./slices.ts";
import { registerState } from "./state.ts";
import { walkTrees } from "./tree-walk.ts";
import type { PlanPruneOptions, PrunePlan } from "./types.ts";

const DEFAULT_GRACE_MS = 24 * 3_600_000;
/** restic's own. */
const DEFAULT_MAX_UNUSED = { share: 0.05 };

/**
 * What a prune would do. Takes the shared lock while it looks: backups run on, another prune does not.
 *
 *   1. snapshots, then indexes, then packs: whatever a snapshot needs is listed when the indexes are read
 *   2. every tree of every snapshot, those kept longest first: what is needed, and how long
 *   3. one place for each needed blob; what is left of every pack
 *   4. what the store holds against removal
 *   5. the fate of every pack
 *
 * A snapshot, tree or index that cannot be read, and a needed blob that is nowhere, stop it: what cannot be read may
 * need anything.
 */
export async function planPrune(
  repository: Repository,
  options: PlanPruneOptions,
): Promise<PrunePlan> {
  const core = coreOf(repository);
  await requireStillThere(core, options.signal);
  const waits = options.signal === undefined ? {} : { signal: options.signal };
  const { held } = await beginLock(core, { exclusive: false, owner: options.owner, ...waits });
  // Everything is read while the lock is confirmed; nothing is decided before.
  const [{ lock, now }, facts] = await together(held, options.signal, (signal) =>
    readFacts(core, options, signal),
  );
  let kept = false;
  try {
    const plan = await planUnder(core, repository.id, { ...facts, lock, now }, options);
    kept = options.keepLock === true;
    return plan;
  } finally {
    if (!kept) await lock[Symbol.asyncDispose]();
  }
}

interface Begun {
  readonly lock: Lock;
  /** By the store's clock, when the lock was confirmed. */
  readonly now: Date;
}

/** Both, or neither: a lock that is not to be had, or gets lost, ends the reading; a reading that fails lets the lock go. */
async function together(
  held: Promise<Lock>,
  outer: AbortSignal | undefined,
  read: (signal: AbortSignal) => Promise<Facts>,
): Promise<readonly [Begun, Facts]> {
  const stop = new AbortController();
  const signals = [stop.signal, ...(outer === undefined ? [] : [outer])];
  const reading = read(AbortSignal.any(signals));
  const [begun, facts] = await Promise.allSettled([confirmed(held, outer, stop), reading]);
  if (begun.status === "rejected") throw begun.reason;
  if (facts.status === "fulfilled") return [begun.value, facts.value];
  await begun.value.lock[Symbol.asyncDispose]();
  throw facts.reason;
}

/** Aborts `stop` where the lock cannot be had, and whenever it is lost. */
async function confirmed(
  held: Promise<Lock>,
  outer: AbortSignal | undefined,
  stop: AbortController,
): Promise<Begun> {
  try {
    const lock = await held;
    lock.signal.addEventListener("abort", () => stop.abort(lock.signal.reason), { once: true });
    try {
      const { stores } = await lock.clocks(outer);
      return { lock, now: stores };
    } catch (thrown) {
      await lock[Symbol.asyncDispose]();
      throw thrown;
    }
  } catch (thrown) {
    stop.abort(thrown);
    throw thrown;
  }
}

interface Facts {
  readonly snapshots: readonly Snapshot[];
  readonly ledger: PackLedger;
  readonly stored: StoredPacks;
  readonly reader: BlobReader;
  readonly needs: Needs;
  readonly lifetimes: number;
}

/** Steps 1 and 2. */
async function readFacts(
  core: RepositoryCore,
  options: PlanPruneOptions,
  signal: AbortSignal,
): Promise<Facts> {
  const snapshots = await loadSnapshots(core, signal);
  const ledger = new PackLedger();
  const files = await listFiles(core.store, unpackedPrefix.index, signal);
  let read = 0;
  await readIndexFiles(
    core,
    ledger,
    files,
    () => options.onProgress?.({ step: "indexes", done: (read += 1), total: files.length }),
    signal,
  );
  const stored = await readStoredPacks(core, ledger, signal);
  const reader = new BlobReader(core, ledger.index);
  const { needs, lifetimes } = await findNeeds(reader, snapshots, options, signal);
  return { snapshots, ledger, stored, reader, needs, lifetimes };
}

async function planUnder(
  core: RepositoryCore,
  repository: string,
  { lock, now, snapshots, ledger, stored, reader, needs, lifetimes }: Begun & Facts,
  options: PlanPruneOptions,
): Promise<PrunePlan> {
  const signal = signalOf(lock, options);
  throwIfAborted(signal);
  const nowMs = now.getTime();
  const used = settleNeeds(ledger, needs);
  const graceMs = options.graceMs ?? DEFAULT_GRACE_MS;
  const decide: DecideOptions = {
    nowMs,
    graceMs,
    maxUnused: options.maxUnused ?? DEFAULT_MAX_UNUSED,
    repackSmallerThanBytes: options.repackSmallerThanBytes ?? 0,
    maxRepackBytes: options.maxRepackBytes ?? Infinity,
  };
  const { old, young } = byAge(stored.unlisted, nowMs, graceMs);
  const held = await decideWithHeld(core, ledger, old, decide, signal);
  const plan = describePlan({
    repository,
    plannedAt: new Date(nowMs),
    graceMs,
    snapshots: snapshots.map(({ id }) => id),
    stored: { packs: stored.packs, bytes: stored.bytes },
    used,
    ledger,
    unlisted: { old, young },
    held,
    replaced: filesToReplace(ledger, held.files).length,
  });
  registerState(plan, {
    ledger,
    needs,
    reader,
    graceMs,
    lifetimes,
    snapshots: new Set(snapshots.map(({ id }) => id)),
    unlisted: old.filter(({ id }) => !held.packs.has(id)),
    heldFiles: new Set(held.files),
    dropped: new Set(),
    ...(options.keepLock === true ? { lock } : {}),
  });
  return plan;
}

async function findNeeds(
  reader: BlobReader,
  snapshots: readonly Snapshot[],
  { lifetimeDays, onProgress }: PlanPruneOptions,
  signal: AbortSignal,
): Promise<{ needs: Needs; lifetimes: number }> {
  const needs = new Needs();
  needs.fit(reader.index);
  const groups = groupByLifetime(snapshots, lifetimeDays ?? (() => 0));
  let done = 0;
  for (const [lifetime, group] of groups.entries()) {
    await walkTrees(
      reader,
      group.map(({ tree }) => tree),
      (position) => {
        if (needs.has(position)) return false;
        needs.set(position, lifetime);
        return true;
      },
      {
        signal,
        onTrees: (trees) => onProgress?.({ step: "trees", done: (done += trees), total: 0 }),
      },
    );
  }
  return { needs, lifetimes: groups.length };
}

/** In no index: an old one was left behind, a young one may be of somebody at work. */
function byAge(
  unlisted: readonly UnlistedPack[],
  nowMs: number,
  graceMs: number,
): { old: readonly UnlistedPack[]; young: readonly UnlistedPack[] } {
  const isOld = ({ modifiedAt }: UnlistedPack): boolean => nowMs - modifiedAt.getTime() >= graceMs;
  return { old: unlisted.filter(isOld), young: unlisted.filter((pack) => !isOld(pack)) };
}

/**
 * The fates, where the store holds objects against removal: what is held is not rewritten (it would be stored twice until
 * then), and waits when its time has come. Only packs that would go are asked for.
 */
async function decideWithHeld(
  core: RepositoryCore,
  ledger: PackLedger,
  old: readonly UnlistedPack[],
  options: DecideOptions,
  signal: AbortSignal,
): Promise<Held> {
  decideFates(ledger.packs, options);
  if (core.store.lock === undefined) return { packs: new Map(), files: new Set() };
  const going = ledger.packs.filter(({ fate }) => fate !== "keep" && fate !== "recover");
  const asked = new Set([...going, ...old].map(({ id }) => id));
  const packs = await packsHeldUntil(core, [...asked], options.nowMs, signal);
  const outdated = [...ledger.files].filter(([, file]) => isOutdated(ledger, file));
  const fileKeys = outdated.map(([id]) => objectKey.index(id));
  const heldKeys = await heldUntil(core, fileKeys, options.nowMs, signal);
  const files = new Map([...heldKeys].map(([key, untilMs]) => [key.slice(6), untilMs]));
  const inHeldFile = packsOfFiles(ledger, files);
  const mayRewrite = ({ id }: PackFacts): boolean =>
    asked.has(id) && !packs.has(id) && !inHeldFile.has(id);
  decideFates(ledger.packs, options, mayRewrite);
  for (const pack of ledger.packs) {
    if (pack.fate === "expired" && packs.has(pack.id)) pack.fate = pack.live ? "mark" : "waiting";
    const going_ = pack.fate === "mark" || pack.fate === "expired";
    if (pack.live && going_ && inHeldFile.has(pack.id)) pack.fate = "keep";
  }
  return {
    packs: new Map([...inHeldFile, ...packs]),
    files: new Set(files.keys()),
  };
}

function packsOfFiles(
  ledger: PackLedger,
  files: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const [file, untilMs] of files) {
    for (const number of ledger.files.get(file)?.packs ?? [])
      found.set(ledger.at(number).id, untilMs);
  }
  return found;
}
