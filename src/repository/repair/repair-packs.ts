import { hash } from "node:crypto";
import { throwIfAborted, toHex } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { keyOfEntry } from "../check/check-data.ts";
import { coreOf, objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { repositoryError } from "../errors.ts";
import type { PackEntry } from "../pack/header.ts";
import { BlobReader, isMissing, isTruncated } from "../read/blob-reader.ts";
import type { Repository } from "../types.ts";
import { BlobSaver } from "./blob-saver.ts";
import { findUnreadableLocks, PlanSecrets, stale, withLock } from "./exclusive.ts";
import type { ExecuteRepairOptions } from "./exclusive.ts";
import { IndexFiles } from "./index-files.ts";
import { readPackHeader } from "./pack-header.ts";
import { opens } from "./repair-index.ts";
import { entriesOf, isStillSo, survey } from "./survey.ts";
import type { Survey } from "./survey.ts";

/**
 * Damaged packs: what still opens is stored again elsewhere, then the pack goes, and with it what no longer opens.
 *
 *   plan:    packs asked for, or all: name, header, and each blob that an index or the header places there
 *   execute: alone on the repository; good blobs in new packs -> an index that lists them -> index files without the
 *            damaged packs -> the old index files go -> the damaged packs go
 */
export interface RepairPacksOptions {
  /** Ids in full; by default every pack is read. */
  readonly packs?: readonly string[];
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: {
    readonly doneBytes: number;
    readonly totalBytes: number;
  }) => void;
}

export interface DamagedPack {
  readonly pack: string;
  readonly sizeBytes: number;
  /** Blobs that still open, and no other pack holds whole: they are stored again. */
  readonly salvaged: number;
  /** Blobs that do not open here; those that no other pack holds either, by id. */
  readonly damaged: number;
  readonly lost: readonly string[];
}

export interface RepairPacksPlan {
  readonly kind: "repair-packs";
  readonly needed: boolean;
  readonly packs: readonly DamagedPack[];
  /** Index files that name them: rewritten. */
  readonly replacedIndexes: readonly string[];
  /** `repair index` comes first where there are some. */
  readonly unreadableIndexes: readonly string[];
  readonly unreadableLocks: readonly string[];
  readonly readBytes: number;
}

export interface RepairedPacks {
  readonly salvagedBlobs: number;
  readonly removedPacks: number;
}

interface Carried {
  readonly core: RepositoryCore;
  readonly found: Survey;
  readonly salvage: ReadonlyMap<string, readonly PackEntry[]>;
}

const SECRETS = new PlanSecrets<RepairPacksPlan, Carried>();

export async function planRepairPacks(
  repository: Repository,
  options: RepairPacksOptions = {},
): Promise<RepairPacksPlan> {
  const { signal, onProgress } = options;
  const core = coreOf(repository);
  const found = await survey(core, signal);
  const { index, stored, files } = found;
  const asked = options.packs ?? [...stored.keys()];
  const totalBytes = asked.reduce((sum, pack) => sum + (stored.get(pack) ?? 0), 0);
  const reader = new BlobReader(core, index);
  const bad = new Map<string, Examined>();
  let doneBytes = 0;
  for (const pack of asked) {
    throwIfAborted(signal);
    const sizeBytes = stored.get(pack);
    if (sizeBytes === undefined) throw noSuchPack(pack);
    const verdict = await examine(core, found, reader, pack, sizeBytes, signal);
    if (verdict !== "whole") bad.set(pack, verdict);
    doneBytes += sizeBytes;
    onProgress?.({ doneBytes, totalBytes });
  }
  const whole = new Set(asked.filter((pack) => !bad.has(pack)));
  const others = await blobsElsewhere(found, reader, { bad, whole }, signal);
  const elsewhere = (entry: PackEntry): boolean => others.has(blobKey(entry));
  const salvage = new Map<string, readonly PackEntry[]>();
  const saved = new Set<string>();
  for (const [pack, { good }] of bad) {
    salvage.set(
      pack,
      good.filter((entry) => !elsewhere(entry) && isFirst(saved, entry)),
    );
  }
  const packs = [...bad].map(([pack, { good, all }]) => {
    const opened = new Set(good);
    const lost = all.filter((entry) => !opened.has(entry) && !elsewhere(entry));
    return {
      pack,
      sizeBytes: stored.get(pack) ?? 0,
      salvaged: salvage.get(pack)?.length ?? 0,
      damaged: all.length - good.length,
      lost: [
        ...new Set(lost.filter((entry) => !saved.has(blobKey(entry))).map(({ id }) => toHex(id))),
      ],
    };
  });
  const replacedIndexes = [...files].flatMap(([id, numbers]) =>
    numbers.some((number) => bad.has(index.packIds[number] ?? "")) ? [id] : [],
  );
  const plan: RepairPacksPlan = {
    kind: "repair-packs",
    needed: packs.length > 0,
    packs,
    replacedIndexes,
    unreadableIndexes: found.unreadableIndexes,
    unreadableLocks: await findUnreadableLocks(core, signal),
    readBytes: totalBytes,
  };
  return SECRETS.keep(plan, { core, found, salvage });
}

/**
 * Which blobs of the damaged packs another pack holds: one that was examined and is whole, or, where only some were asked
 * for, one whose blob opens. What an index says of a pack that nobody read is no reason to let a copy go.
 */
async function blobsElsewhere(
  { index, stored }: Survey,
  reader: BlobReader,
  { bad, whole }: { bad: ReadonlyMap<string, Examined>; whole: ReadonlySet<string> },
  signal?: AbortSignal,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const entry of [...bad.values()].flatMap(({ all }) => all)) {
    const key = blobKey(entry);
    for (const position of found.has(key) ? [] : index.positions(entry.id, entry.type)) {
      throwIfAborted(signal);
      const place = index.at(position);
      if (bad.has(place.pack) || !stored.has(place.pack)) continue;
      if (!whole.has(place.pack) && !(await opens(reader, place.pack, place, signal))) continue;
      found.add(key);
      break;
    }
  }
  return found;
}

function blobKey({ id, type }: PackEntry): string {
  return `${type} ${toHex(id)}`;
}

function isFirst(saved: Set<string>, entry: PackEntry): boolean {
  const key = blobKey(entry);
  if (saved.has(key)) return false;
  saved.add(key);
  return true;
}

interface Examined {
  readonly good: readonly PackEntry[];
  readonly all: readonly PackEntry[];
}

/** Read again once, past whatever spoiled the first reading, before anything of it is called damaged. */
async function examine(...asked: Parameters<typeof examineOnce>): Promise<"whole" | Examined> {
  const first = await examineOnce(...asked);
  if (first === "whole") return first;
  const second = await examineOnce(...asked);
  if (second === "whole") return second;
  return second.good.length > first.good.length ? second : first;
}

/** `whole`: its name, its header and all its blobs are what they should be. Packs in no index are prune's, and whole. */
async function examineOnce(
  core: RepositoryCore,
  found: Survey,
  reader: BlobReader,
  pack: string,
  sizeBytes: number,
  signal?: AbortSignal,
): Promise<"whole" | Examined> {
  const number = found.index.knownPackNumber(pack);
  const indexed = number === undefined ? [] : entriesOf(found, number);
  const bytes = await wholePack(core, pack, signal);
  const header = await readPackHeader(core, pack, sizeBytes, signal);
  const listed = new Set(indexed.map(keyOfEntry));
  const all = [...indexed, ...(header ?? []).filter((entry) => !listed.has(keyOfEntry(entry)))];
  const good = all.filter((entry) => {
    const sealed = bytes.subarray(entry.offset, entry.offset + entry.lengthBytes);
    if (sealed.byteLength !== entry.lengthBytes) return false;
    return reader.open({ ...entry, pack }, sealed) !== undefined;
  });
  const nameFits = hash("sha256", bytes, "hex") === pack;
  if (number === undefined && good.length === 0) return "whole";
  return nameFits && header !== undefined && good.length === all.length ? "whole" : { good, all };
}

async function wholePack(core: RepositoryCore, pack: string, signal?: AbortSignal): Promise<Bytes> {
  const options = signal === undefined ? {} : { signal };
  try {
    return await core.store.get(objectKey.pack(pack), options);
  } catch (thrown) {
    if (isMissing(thrown) || isTruncated(thrown)) return new Uint8Array(0);
    throw thrown;
  }
}

function noSuchPack(pack: string): Error {
  return repositoryError("pack_not_found", {
    message: `no pack ${pack.slice(0, 64)}`,
    subject: { pack: pack.slice(0, 64) },
  });
}

export async function executeRepairPacks(
  plan: RepairPacksPlan,
  options: ExecuteRepairOptions,
): Promise<RepairedPacks> {
  const { core, found, salvage } = SECRETS.take(plan);
  const { unreadableLocks } = plan;
  return await withLock(
    core,
    options,
    { exclusive: true, unreadableLocks },
    async (lock, signal) => {
      if (!(await isStillSo(core, found, signal))) {
        throw stale("repository whose indexes or packs changed since the repair was planned");
      }
      const salvagedBlobs = await saveAgain(core, found, salvage, signal);
      const files = new IndexFiles(core, signal);
      const done = new Set<string>(salvage.keys());
      for (const id of plan.replacedIndexes) {
        for (const number of found.files.get(id) ?? []) {
          const pack = found.index.packIds[number] ?? "";
          if (done.has(pack)) continue;
          done.add(pack);
          await files.add({ id: pack, entries: entriesOf(found, number) });
        }
      }
      await files.keepMarks(plan.replacedIndexes, (pack) => salvage.has(pack));
      await files.replace(plan.replacedIndexes, lock);
      await lock.requireHeld(signal);
      // Nothing names them any more; what they held and was whole is durable elsewhere.
      for (const { pack } of plan.packs) await core.store.remove(objectKey.pack(pack), { signal });
      return { salvagedBlobs, removedPacks: plan.packs.length };
    },
  );
}

/** Durable and listed when this returns. A blob that no longer opens since the plan stops the repair: nothing is gone yet. */
async function saveAgain(
  core: RepositoryCore,
  found: Survey,
  salvage: ReadonlyMap<string, readonly PackEntry[]>,
  signal: AbortSignal,
): Promise<number> {
  const reader = new BlobReader(core, found.index);
  const saver = new BlobSaver(core, signal);
  let saved = 0;
  try {
    for (const [pack, entries] of salvage) {
      for (const entry of entries) {
        throwIfAborted(signal);
        const place = { ...entry, pack };
        const plain = reader.open(place, await reader.fetch(pack, place, signal));
        if (plain === undefined) {
          throw stale(
            `blob ${toHex(entry.id).slice(0, 8)} that opened when the repair was planned`,
          );
        }
        await saver.save(entry.type, plain);
        saved += 1;
      }
    }
    await saver.flush();
  } finally {
    await saver.drain();
  }
  return saved;
}
