import { hash } from "node:crypto";
import { toHex } from "../../kernel/index.ts";
import type { Clock } from "../../kernel/index.ts";
import type { RepositoryCore } from "../core.ts";
import { objectKey } from "../core.ts";
import type { BlobIndex } from "../index/blob-index.ts";
import { ageMsOf, STALE_MS } from "../lock/conflicts.ts";
import { parseLock } from "../lock/lock-file.ts";
import { listFiles } from "../list.ts";
import { packSizes } from "../index/lost-packs.ts";
import { AppError } from "../../kernel/index.ts";
import { loadUnpacked, unpackedPrefix } from "../unpacked.ts";
import { Bitset } from "../bitset.ts";
import type { Findings } from "./findings.ts";

export interface CheckStep {
  readonly core: RepositoryCore;
  readonly findings: Findings;
  readonly signal?: AbortSignal;
}

/** Positions of the index grouped by pack: `order[starts[n]]` up to `order[starts[n + 1]]` are those of pack n. */
export interface PackGroups {
  readonly starts: Uint32Array;
  readonly order: Uint32Array;
}

export interface KnownPacks {
  /** By pack number: named by an index, not in the store. */
  readonly missing: Bitset;
  /** By pack number, of those that are there; −1 for the others. */
  readonly sizes: Float64Array;
  /** By pack number: what it weighs by the indexes. */
  readonly expected: Float64Array;
  /** By pack number, in milliseconds by the store's clock, of those that are there. */
  readonly storedAtMs: Float64Array;
  readonly groups: PackGroups;
}

/** The packs that indexes name against those that the store lists. */
export async function checkPacks(step: CheckStep, index: BlobIndex): Promise<KnownPacks> {
  const { core, findings, signal } = step;
  const numbers = new Map(index.packIds.map((id, number) => [id, number]));
  const sizes = new Float64Array(index.packIds.length).fill(-1);
  const storedAtMs = new Float64Array(index.packIds.length);
  for (const { id, key, sizeBytes, modifiedAt } of await listFiles(core.store, "data/", signal)) {
    const number = numbers.get(id);
    if (key !== objectKey.pack(id)) continue;
    if (number !== undefined) {
      sizes[number] = sizeBytes;
      storedAtMs[number] = modifiedAt.getTime();
    } else findings.add("pack_unreferenced", `pack ${id.slice(0, 8)} in no index`, { pack: id });
  }
  const missing = new Bitset(index.packIds.length);
  const groups = groupByPack(index);
  const expected = packSizes(index);
  index.packIds.forEach((id, number) => {
    const actual = sizes[number] ?? -1;
    const expectedBytes = expected[number];
    const subject = { pack: id };
    if (actual < 0) {
      missing.add(number);
      findings.add("pack_missing", `pack ${id.slice(0, 8)} that an index names is gone`, subject);
    } else if (actual !== expectedBytes) {
      const message = `pack ${id.slice(0, 8)} of ${actual} bytes, ${expectedBytes} by the index`;
      findings.add("pack_size_differs", message, subject);
    }
  });
  return { missing, sizes, expected, storedAtMs, groups };
}

export function groupByPack(index: BlobIndex): PackGroups {
  const starts = new Uint32Array(index.packIds.length + 1);
  for (let p = 0; p < index.size; p += 1) bump(starts, index.packNumberAt(p) + 1, 1);
  for (let n = 1; n < starts.length; n += 1) bump(starts, n, starts[n - 1] ?? 0);
  const next = starts.slice();
  const order = new Uint32Array(index.size);
  for (let p = 0; p < index.size; p += 1) {
    const number = index.packNumberAt(p);
    order[next[number] ?? 0] = p;
    bump(next, number, 1);
  }
  return { starts, order };
}

function bump(counts: Uint32Array, at: number, by: number): void {
  counts[at] = (counts[at] ?? 0) + by;
}

export function positionsOf({ starts, order }: PackGroups, pack: number): Uint32Array {
  return order.subarray(starts[pack] ?? 0, starts[pack + 1] ?? 0);
}

/** Blobs that indexes state different lengths for: one of them is wrong, whichever. */
export function checkConflicts({ findings }: CheckStep, index: BlobIndex): void {
  if (!index.hasRepeats) return;
  for (let position = 0; position < index.size; position += 1) {
    const type = index.isTreeAt(position) ? "tree" : "data";
    const id = index.idAt(position);
    // Once a blob, at its first place.
    if (index.position(id, type) !== position) continue;
    const positions = index.positions(id, type);
    if (positions.length < 2) continue;
    const lengths = new Set(positions.map((p) => index.plainLengthAt(p)));
    if (lengths.size < 2) continue;
    const blob = toHex(index.idAt(position));
    const message = `blob ${blob.slice(0, 8)} of ${[...lengths].join(" or ")} bytes by the indexes`;
    findings.add("index_conflict", message, { blob });
  }
}

export async function checkKeys({ core, findings, signal }: CheckStep): Promise<void> {
  const options = signal === undefined ? {} : { signal };
  for (const { id, key } of await listFiles(core.store, "keys/", signal)) {
    const content = hash("sha256", await core.store.get(key, options), "hex");
    if (content === id) continue;
    findings.add("key_damaged", `key ${id.slice(0, 8)} that is not what its name says`, {
      key: id,
    });
  }
}

/** An age by our own clock: a check holds no lock by which the store's could be read. Hence only warnings. */
export async function checkLocks(
  { core, findings, signal }: CheckStep,
  clock: Clock,
): Promise<void> {
  for (const file of await listFiles(core.store, unpackedPrefix.lock, signal)) {
    const { id } = file;
    const lock = await readLock(core, id, file.sizeBytes, signal);
    if (lock === "damaged") {
      findings.add("lock_damaged", `lock ${id.slice(0, 8)} that is no lock`, { lock: id });
    } else if (lock !== "gone" && ageMsOf(file, lock, clock.now().getTime()) > STALE_MS) {
      const message = `lock of process ${lock.pid} on ${lock.hostname} since ${lock.time.toISOString()}`;
      findings.add("lock_stale", message, { lock: id });
    }
  }
}

async function readLock(
  core: RepositoryCore,
  id: string,
  sizeBytes: number,
  signal?: AbortSignal,
): Promise<"gone" | "damaged" | NonNullable<ReturnType<typeof parseLock>>> {
  if (sizeBytes === 0) return "gone";
  try {
    return parseLock(await loadUnpacked(core, "lock", id, signal)) ?? "damaged";
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === "objectstore.not_found") return "gone";
    if (thrown instanceof AppError && thrown.kind === "corrupt") return "damaged";
    throw thrown;
  }
}
