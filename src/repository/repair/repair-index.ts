import { throwIfAborted } from "../../kernel/index.ts";
import { keyOfEntry } from "../check/check-data.ts";
import { coreOf } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import type { PackEntry } from "../pack/header.ts";
import { BlobReader, isMissing, isTruncated } from "../read/blob-reader.ts";
import type { Repository } from "../types.ts";
import { findUnreadableLocks, PlanSecrets, stale, withLock } from "./exclusive.ts";
import type { ExecuteRepairOptions } from "./exclusive.ts";
import { IndexFiles } from "./index-files.ts";
import { readPackHeader } from "./pack-header.ts";
import { entriesOf, isStillSo, survey } from "./survey.ts";
import type { Survey } from "./survey.ts";

/**
 * The index again as the packs are.
 *
 *   plan:    1. every index file that can be read; every pack that is there
 *            2. headers of packs that no index names, whose entries do not make up their size, or whose blobs indexes
 *               disagree about; with `readAllPacks` of all
 *            3. where a header does not open, each blob that an index places there is read: what opens stays listed
 *   execute: alone on the repository; new index files durable, then the old ones that say something else go
 */
export interface RepairIndexOptions {
  /** Also of packs about which the indexes and the store agree. */
  readonly readAllPacks?: boolean;
  readonly signal?: AbortSignal;
}

export interface PackChange {
  readonly pack: string;
  /** Entries that the new index has and the old ones have not. */
  readonly added: number;
  /** Entries that the old ones have and the new one has not. */
  readonly dropped: number;
}

export interface RepairIndexPlan {
  readonly kind: "repair-index";
  /** Whether there is something to do. */
  readonly needed: boolean;
  /** Removed once the new ones are durable. */
  readonly unreadableIndexes: readonly string[];
  /** Files that can be read and say what is not so: rewritten. */
  readonly replacedIndexes: readonly string[];
  readonly packs: readonly PackChange[];
  /** Named by an index and gone. */
  readonly missingPacks: readonly string[];
  /** Their headers do not open: what can be salvaged of them, `repair packs` does. */
  readonly damagedPacks: readonly string[];
  /** In no index, without a header that opens, or with nothing that others lack: left alone. */
  readonly ignoredPacks: readonly string[];
  /** Removed before anything else, for they stop everybody. */
  readonly unreadableLocks: readonly string[];
  readonly headersRead: number;
}

export interface RepairedIndex {
  readonly writtenIndexes: number;
  readonly removedIndexes: number;
}

interface Carried {
  readonly core: RepositoryCore;
  readonly found: Survey;
  /** What the new index says of packs of which the old ones are wrong, by id. */
  readonly truth: ReadonlyMap<string, readonly PackEntry[]>;
}

const SECRETS = new PlanSecrets<RepairIndexPlan, Carried>();

export async function planRepairIndex(
  repository: Repository,
  options: RepairIndexOptions = {},
): Promise<RepairIndexPlan> {
  const core = coreOf(repository);
  const found = await survey(core, options.signal);
  const planning = new IndexPlanning(core, found, options);
  await planning.indexedPacks();
  await planning.otherPacks();
  const { truth, changes, damagedPacks, ignoredPacks, headersRead } = planning;
  const isWrong = ({ pack, dropped }: PackChange): boolean =>
    dropped > 0 || !found.stored.has(pack);
  const wrong = new Set(changes.filter(isWrong).map(({ pack }) => pack));
  const replacedIndexes = [...found.files].flatMap(([id, numbers]) =>
    numbers.some((number) => wrong.has(found.index.packIds[number] ?? "")) ? [id] : [],
  );
  const unreadableLocks = await findUnreadableLocks(core, options.signal);
  const { unreadableIndexes, stored } = found;
  const plan: RepairIndexPlan = {
    kind: "repair-index",
    needed: unreadableIndexes.length + changes.length + unreadableLocks.length > 0,
    unreadableIndexes,
    replacedIndexes,
    packs: changes,
    missingPacks: found.index.packIds.filter((id) => !stored.has(id)),
    damagedPacks,
    ignoredPacks,
    unreadableLocks,
    headersRead,
  };
  return SECRETS.keep(plan, { core, found, truth });
}

class IndexPlanning {
  readonly truth = new Map<string, readonly PackEntry[]>();
  readonly changes: PackChange[] = [];
  readonly damagedPacks: string[] = [];
  readonly ignoredPacks: string[] = [];
  headersRead = 0;
  readonly #core: RepositoryCore;
  readonly #found: Survey;
  readonly #options: RepairIndexOptions;

  constructor(core: RepositoryCore, found: Survey, options: RepairIndexOptions) {
    this.#core = core;
    this.#found = found;
    this.#options = options;
  }

  async indexedPacks(): Promise<void> {
    const { index, whole, stored } = this.#found;
    const disputed = disputedPacks(this.#found);
    for (const [number, pack] of index.packIds.entries()) {
      throwIfAborted(this.#options.signal);
      const sizeBytes = stored.get(pack);
      const trusted = whole.has(number) && !disputed.has(number);
      if (trusted && this.#options.readAllPacks !== true) continue;
      const entries = entriesOf(this.#found, number);
      if (sizeBytes === undefined) this.#gone(pack, entries.length);
      else this.#change(pack, entries, await this.#trueEntries(pack, sizeBytes, entries));
    }
  }

  async otherPacks(): Promise<void> {
    const { index, stored } = this.#found;
    for (const [pack, sizeBytes] of stored) {
      if (index.knownPackNumber(pack) !== undefined) continue;
      throwIfAborted(this.#options.signal);
      const entries = await this.#readHeader(pack, sizeBytes);
      if (entries === undefined || !entries.some((entry) => this.#isNew(entry))) {
        this.ignoredPacks.push(pack);
      } else this.#change(pack, [], entries);
    }
  }

  async #trueEntries(
    pack: string,
    sizeBytes: number,
    indexed: readonly PackEntry[],
  ): Promise<readonly PackEntry[]> {
    const header = await this.#readHeader(pack, sizeBytes);
    if (header !== undefined) return header;
    this.damagedPacks.push(pack);
    const reader = new BlobReader(this.#core, this.#found.index);
    const kept: PackEntry[] = [];
    for (const entry of indexed) {
      if (await opens(reader, pack, entry, this.#options.signal)) kept.push(entry);
    }
    return kept;
  }

  async #readHeader(pack: string, sizeBytes: number): Promise<readonly PackEntry[] | undefined> {
    this.headersRead += 1;
    return await readPackHeader(this.#core, pack, sizeBytes, this.#options.signal);
  }

  /** Whether no pack holds the blob about which index and store agree. */
  #isNew({ id, type }: PackEntry): boolean {
    const { index, whole } = this.#found;
    return !index.positions(id, type).some((position) => whole.has(index.packNumberAt(position)));
  }

  /** Also where no entry of it was taken in: a poisoned index may name more places than are. */
  #gone(pack: string, dropped: number): void {
    this.truth.set(pack, []);
    this.changes.push({ pack, added: 0, dropped });
  }

  #change(pack: string, before: readonly PackEntry[], after: readonly PackEntry[]): void {
    const old = new Set(before.map(keyOfEntry));
    const added = after.filter((entry) => !old.delete(keyOfEntry(entry))).length;
    if (added === 0 && old.size === 0) return;
    this.truth.set(pack, after);
    this.changes.push({ pack, added, dropped: old.size });
  }
}

/** Packs with a blob for which indexes state different lengths: one of them is wrong, and its header tells which. */
function disputedPacks({ index }: Survey): ReadonlySet<number> {
  const packs = new Set<number>();
  if (!index.hasRepeats) return packs;
  for (let position = 0; position < index.size; position += 1) {
    const type = index.isTreeAt(position) ? "tree" : "data";
    const id = index.idAt(position);
    if (index.position(id, type) !== position) continue;
    const positions = index.positions(id, type);
    const lengths = new Set(positions.map((p) => index.plainLengthAt(p)));
    if (lengths.size > 1) for (const p of positions) packs.add(index.packNumberAt(p));
  }
  return packs;
}

/** Whether the bytes at this place are the blob; a pack that is cut or went has none there. */
export async function opens(
  reader: BlobReader,
  pack: string,
  entry: PackEntry,
  signal?: AbortSignal,
): Promise<boolean> {
  try {
    const place = { ...entry, pack };
    return reader.open(place, await reader.fetch(pack, place, signal)) !== undefined;
  } catch (thrown) {
    if (isMissing(thrown) || isTruncated(thrown)) return false;
    throw thrown;
  }
}

export async function executeRepairIndex(
  plan: RepairIndexPlan,
  options: ExecuteRepairOptions,
): Promise<RepairedIndex> {
  const { core, found, truth } = SECRETS.take(plan);
  const { unreadableLocks } = plan;
  return await withLock(
    core,
    options,
    { exclusive: true, unreadableLocks },
    async (lock, signal) => {
      if (!(await isStillSo(core, found, signal))) {
        throw stale("repository whose indexes or packs changed since the repair was planned");
      }
      const files = new IndexFiles(core, signal);
      const done = new Set<string>();
      for (const id of plan.replacedIndexes) {
        for (const number of found.files.get(id) ?? []) {
          const pack = found.index.packIds[number] ?? "";
          if (done.has(pack)) continue;
          done.add(pack);
          await files.add({ id: pack, entries: truth.get(pack) ?? entriesOf(found, number) });
        }
      }
      for (const [id, entries] of truth) if (!done.has(id)) await files.add({ id, entries });
      await files.keepMarks(plan.replacedIndexes, () => false);
      const old = [...plan.replacedIndexes, ...plan.unreadableIndexes];
      return { writtenIndexes: await files.replace(old, lock), removedIndexes: old.length };
    },
  );
}
