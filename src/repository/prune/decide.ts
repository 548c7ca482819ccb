import { isBelieved, unusedBytesOf } from "./pack-facts.ts";
import type { PackFacts } from "./pack-facts.ts";
import type { UnusedLimit } from "./types.ts";

export interface DecideOptions {
  /** The store's clock. */
  readonly nowMs: number;
  readonly graceMs: number;
  readonly maxUnused: UnusedLimit;
  readonly repackSmallerThanBytes: number;
  readonly maxRepackBytes: number;
}

/** Pure: gives every pack its fate. `mayRewrite` says no for packs that could not be removed afterwards. */
export function decideFates(
  packs: readonly PackFacts[],
  options: DecideOptions,
  mayRewrite: (pack: PackFacts) => boolean = () => true,
): void {
  for (const pack of packs) pack.fate = firstFate(pack, options);
  const usedBytes = packs.reduce((sum, pack) => sum + pack.usedBytes, 0);
  const limitBytes = unusedLimitBytes(options.maxUnused, usedBytes);
  const small = smallPacks(packs.filter(mayRewrite), options.repackSmallerThanBytes);
  const candidates = rewriteCandidates(packs, small).filter(mayRewrite);
  let unusedBytes = packs
    .filter(({ fate }) => fate === "keep")
    .reduce((sum, pack) => sum + unusedBytesOf(pack), 0);
  let rewrittenBytes = 0;
  for (const pack of candidates) {
    if (rewrittenBytes + pack.storedBytes > options.maxRepackBytes) continue;
    // Trees are read by everybody and are small: their packs are always kept dense.
    if (!pack.hasTrees && !small.has(pack) && unusedBytes <= limitBytes) continue;
    pack.fate = "repack";
    rewrittenBytes += pack.storedBytes;
    unusedBytes -= unusedBytesOf(pack);
  }
  leaveLonePacks(packs);
}

function firstFate(pack: PackFacts, { nowMs, graceMs }: DecideOptions): PackFacts["fate"] {
  if (pack.storedBytes < 0) return "missing";
  if (pack.live && pack.usedBlobs > 0) return "keep";
  if (pack.live) return graceMs === 0 ? "expired" : "mark";
  if (pack.usedBlobs > 0) return "recover";
  // A mark without a time begins when we first see it; none is made up.
  const ageMs = nowMs - (pack.markedAtMs ?? nowMs);
  return ageMs >= graceMs ? "expired" : "waiting";
}

export function unusedLimitBytes(limit: UnusedLimit, usedBytes: number): number {
  if ("bytes" in limit) return limit.bytes;
  return limit.share >= 1 ? Infinity : (usedBytes * limit.share) / (1 - limit.share);
}

/** Trees first, then small packs, then those that lose most of themselves: the least copied for the most freed. */
function rewriteCandidates(
  packs: readonly PackFacts[],
  small: ReadonlySet<PackFacts>,
): PackFacts[] {
  return packs
    .filter((pack) => isWholeKept(pack) && (unusedBytesOf(pack) > 0 || small.has(pack)))
    .sort(
      (a, b) =>
        Number(b.hasTrees) - Number(a.hasTrees) ||
        Number(small.has(b)) - Number(small.has(a)) ||
        unusedBytesOf(b) / b.sealedBytes - unusedBytesOf(a) / a.sealedBytes ||
        (a.id < b.id ? -1 : 1),
    );
}

function isWholeKept(pack: PackFacts): boolean {
  return pack.fate === "keep" && !pack.suspect && isBelieved(pack);
}

/** Those that one pack can be made of: of one kind and one lifetime, and more than one; else each prune would write them again. */
function smallPacks(packs: readonly PackFacts[], belowBytes: number): ReadonlySet<PackFacts> {
  const groups = new Map<string, PackFacts[]>();
  for (const pack of packs) {
    if (!isWholeKept(pack) || pack.storedBytes >= belowBytes || pack.lifetime < 0) continue;
    const key = `${pack.hasTrees} ${pack.lifetime}`;
    groups.set(key, [...(groups.get(key) ?? []), pack]);
  }
  return new Set([...groups.values()].filter((group) => group.length > 1).flat());
}

/** Nothing is gained by writing one whole pack again, however small: where the limit left one of a group. */
function leaveLonePacks(packs: readonly PackFacts[]): void {
  const chosen = packs.filter(({ fate }) => fate === "repack");
  for (const pack of chosen) {
    if (unusedBytesOf(pack) > 0) continue;
    const alike = chosen.filter(
      ({ hasTrees, lifetime }) => hasTrees === pack.hasTrees && lifetime === pack.lifetime,
    );
    if (alike.length === 1) pack.fate = "keep";
  }
}
