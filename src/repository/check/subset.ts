import type { RandomBytes } from "../../kernel/index.ts";
import type { CheckablePack, ReadSubset } from "../types.ts";

/** What restic's `--read-data-subset` takes: `n/t`, `x%`, or a size. */

const UNITS = ["", "k", "m", "g", "t"];
/** restic's: a part is told by the first byte of a pack's id. */
const MAX_PARTS = 256;

/** `undefined` when the text is no subset. */
export function parseReadSubset(text: string): ReadSubset | undefined {
  const [, part, of] = /^(\d{1,3})\/(\d{1,3})$/.exec(text) ?? [];
  if (part !== undefined && of !== undefined) {
    const subset = { part: Number(part), of: Number(of) };
    const fits = subset.part >= 1 && subset.part <= subset.of && subset.of <= MAX_PARTS;
    return fits ? subset : undefined;
  }
  const [, percent] = /^(\d{1,3}(?:\.\d+)?)%$/.exec(text) ?? [];
  if (percent !== undefined) {
    return Number(percent) > 0 && Number(percent) <= 100 ? { percent: Number(percent) } : undefined;
  }
  const [, count, unit] = /^(\d{1,15})([kmgt]?)i?b?$/i.exec(text) ?? [];
  if (count === undefined || unit === undefined) return undefined;
  const bytes = Number(count) * 1024 ** UNITS.indexOf(unit.toLowerCase());
  return bytes > 0 && Number.isSafeInteger(bytes) ? { bytes } : undefined;
}

/** A part is the same packs every time; a percentage and a size are drawn anew, and never none. */
export function chooseSubset(
  packs: readonly CheckablePack[],
  subset: ReadSubset,
  random: RandomBytes,
): readonly string[] {
  if ("part" in subset) {
    return packs
      .filter(({ id }) => Number.parseInt(id.slice(0, 2), 16) % subset.of === subset.part - 1)
      .map(({ id }) => id);
  }
  const drawn = shuffled(packs, random);
  if ("percent" in subset) {
    return drawn.slice(0, Math.ceil((packs.length * subset.percent) / 100)).map(({ id }) => id);
  }
  let sumBytes = 0;
  const chosen: string[] = [];
  for (const { id, sizeBytes } of drawn) {
    if (chosen.length > 0 && sumBytes + sizeBytes > subset.bytes) break;
    chosen.push(id);
    sumBytes += sizeBytes;
  }
  return chosen;
}

function shuffled(packs: readonly CheckablePack[], random: RandomBytes): readonly CheckablePack[] {
  const keys = Buffer.from(random(packs.length * 6));
  return packs
    .map((pack, i) => ({ pack, key: keys.readUIntBE(i * 6, 6) }))
    .sort((a, b) => a.key - b.key)
    .map(({ pack }) => pack);
}
