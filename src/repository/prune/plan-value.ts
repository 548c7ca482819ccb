import type { SnapshotId } from "../../kernel/index.ts";
import { unusedBytesOf } from "./pack-facts.ts";
import type { Fate, PackFacts, PackLedger, UnlistedPack } from "./pack-facts.ts";
import type { BlobTotals, FreedLater, PackTotals, PrunePlan } from "./types.ts";

export interface Held {
  /** Until when the store holds these packs, or an index file that lists them, by pack. */
  readonly packs: ReadonlyMap<string, number>;
  readonly files: ReadonlySet<string>;
}

export interface PlanFacts {
  readonly repository: string;
  readonly plannedAt: Date;
  readonly graceMs: number;
  readonly snapshots: readonly SnapshotId[];
  readonly stored: PackTotals;
  readonly used: BlobTotals;
  readonly ledger: PackLedger;
  readonly unlisted: {
    readonly old: readonly UnlistedPack[];
    readonly young: readonly UnlistedPack[];
  };
  readonly held: Held;
  readonly replaced: number;
}

/** The plan as it is shown. */
export function describePlan(facts: PlanFacts): PrunePlan {
  const { ledger, unlisted, held, graceMs, plannedAt } = facts;
  const of = (...fates: Fate[]): readonly PackFacts[] =>
    ledger.packs.filter(({ fate }) => fates.includes(fate));
  const removable = unlisted.old.filter(({ id }) => !held.packs.has(id));
  const expired = of("expired");
  const remove = listed([
    ...expired.map(({ id, storedBytes }) => ({ id, bytes: storedBytes })),
    ...removable.map(({ id, sizeBytes }) => ({ id, bytes: sizeBytes })),
  ]);
  const repack = of("repack");
  const there = ledger.packs.filter(({ storedBytes }) => storedBytes >= 0);
  const sealedBytes = there.reduce((sum, pack) => sum + pack.sealedBytes, 0);
  const blobs = there.reduce((sum, pack) => sum + pack.blobs, 0);
  return {
    repository: facts.repository,
    plannedAt,
    graceMs,
    snapshots: facts.snapshots,
    stored: facts.stored,
    used: facts.used,
    unused: { blobs: blobs - facts.used.blobs, bytes: sealedBytes - facts.used.bytes },
    keep: totals(of("keep")),
    unusedAfterBytes: of("keep", "recover").reduce((sum, pack) => sum + unusedBytesOf(pack), 0),
    repack: { ...listedPacks(repack), copied: copiedOf(repack) },
    mark: listedPacks(of("mark")),
    recover: listedPacks(of("recover")),
    remove,
    unreferenced: {
      packs: unlisted.young.length,
      bytes: unlisted.young.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    },
    missing: of("missing").map(({ id }) => id),
    suspect: ledger.packs.filter(({ suspect }) => suspect).map(({ id }) => id),
    indexes: { replaced: facts.replaced, all: ledger.files.size },
    freedNowBytes: remove.bytes + (graceMs === 0 ? totals(repack).bytes : 0),
    freedLater: freedLater(facts, of),
  };
}

/** The later of grace and lock, for everything that goes and not now. Locks are grouped by the hour. */
function freedLater(
  { ledger, unlisted, held, graceMs, plannedAt }: PlanFacts,
  of: (...fates: Fate[]) => readonly PackFacts[],
): readonly FreedLater[] {
  const groups = new Map<
    string,
    { until: number; because: "grace" | "lock"; packs: number; bytes: number }
  >();
  const add = (id: string, bytes: number, graceUntilMs: number): void => {
    const lockMs = held.packs.get(id) ?? 0;
    const because = lockMs > graceUntilMs ? "lock" : "grace";
    const until = Math.max(lockMs, graceUntilMs);
    const key = because === "lock" ? `lock ${Math.ceil(until / 3_600_000)}` : `grace ${until}`;
    const group = groups.get(key) ?? { until, because, packs: 0, bytes: 0 };
    group.until = Math.max(group.until, until);
    group.packs += 1;
    group.bytes += bytes;
    groups.set(key, group);
  };
  const nowMs = plannedAt.getTime();
  const going = graceMs === 0 ? of("mark") : of("mark", "repack");
  for (const { id, storedBytes } of going) add(id, storedBytes, nowMs + graceMs);
  for (const { id, storedBytes, markedAtMs } of of("waiting")) {
    add(id, storedBytes, (markedAtMs ?? nowMs) + graceMs);
  }
  // Unneeded, but an index file that lists them cannot go.
  for (const { id, storedBytes, usedBlobs } of ledger.packs.filter(({ fate }) => fate === "keep")) {
    if (usedBlobs === 0 && held.packs.has(id)) add(id, storedBytes, 0);
  }
  for (const { id, sizeBytes } of unlisted.old) if (held.packs.has(id)) add(id, sizeBytes, 0);
  for (const { id, sizeBytes, modifiedAt } of unlisted.young) {
    add(id, sizeBytes, modifiedAt.getTime() + graceMs);
  }
  return [...groups.values()]
    .map(({ until, ...group }) => ({ ...group, until: new Date(until) }))
    .sort((a, b) => a.until.getTime() - b.until.getTime());
}

function totals(packs: readonly PackFacts[]): PackTotals {
  return { packs: packs.length, bytes: packs.reduce((sum, pack) => sum + pack.storedBytes, 0) };
}

function listedPacks(
  packs: readonly PackFacts[],
): PackTotals & { readonly ids: readonly string[] } {
  return listed(packs.map(({ id, storedBytes }) => ({ id, bytes: storedBytes })));
}

function listed(
  packs: readonly { readonly id: string; readonly bytes: number }[],
): PackTotals & { readonly ids: readonly string[] } {
  const ids = packs.map(({ id }) => id).sort();
  return { packs: ids.length, bytes: packs.reduce((sum, { bytes }) => sum + bytes, 0), ids };
}

function copiedOf(packs: readonly PackFacts[]): BlobTotals {
  return {
    blobs: packs.reduce((sum, { usedBlobs }) => sum + usedBlobs, 0),
    bytes: packs.reduce((sum, { usedBytes }) => sum + usedBytes, 0),
  };
}
