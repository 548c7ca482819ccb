import type { Fate, ListedFile, PackFacts, PackLedger } from "./pack-facts.ts";

/** Below this an index file is small: one that a run of every night leaves. */
const SMALL_BLOBS = 25_000;
/** So many small ones are worth a rewriting of their own. */
const MANY_SMALL = 8;

/** Index files that say what is no longer so, and small ones that are better together. `held` cannot be removed. */
export function filesToReplace(
  ledger: PackLedger,
  held: ReadonlySet<string> = new Set(),
): readonly string[] {
  const free = [...ledger.files].filter(([id]) => !held.has(id));
  const outdated = free.filter(([, file]) => isOutdated(ledger, file));
  const small = free.filter(([, { blobs }]) => blobs < SMALL_BLOBS);
  const merge = small.length >= MANY_SMALL || (outdated.length > 0 && small.length > 1);
  const chosen = new Set([...outdated, ...(merge ? small : [])].map(([id]) => id));
  return [...chosen].sort();
}

export function isOutdated(ledger: PackLedger, { packs, marked }: ListedFile): boolean {
  return (
    packs.some((number) => listing(ledger.at(number)) !== "live") ||
    marked.some((number) => listing(ledger.at(number)) !== "marked")
  );
}

/** How a new index file lists a pack. One that is being copied is as it was until then. */
const LISTINGS: Readonly<Record<Fate, "live" | "marked" | "not">> = {
  keep: "live",
  recover: "live",
  repack: "live",
  mark: "marked",
  waiting: "marked",
  expired: "not",
  missing: "not",
};

export function listing({ fate }: PackFacts): "live" | "marked" | "not" {
  return LISTINGS[fate];
}
