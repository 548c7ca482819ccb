import type { PointFact, WindowFact } from "./facts.ts";
import { newestFirst } from "./keep.ts";
import { isGood } from "./stops.ts";

/**
 * What a window needs: for its first moment the newest usable base before it, and every base and segment from that one on
 * (engine-traps 21). Where no usable base is that old, the window grows from what there is, and all of it is needed.
 */
export function neededByWindow(
  { start, bases = [], segments = [] }: WindowFact,
  points: readonly PointFact[],
): ReadonlySet<string> {
  const [baseIds, chainIds] = [new Set(bases), new Set([...bases, ...segments])];
  const first = points
    .filter((point) => baseIds.has(point.id) && isGood(point))
    .filter(({ time }) => time.getTime() <= start.getTime())
    .sort(newestFirst)[0];
  const fromMs = first?.time.getTime() ?? Number.NEGATIVE_INFINITY;
  const chain = points.filter(({ id, time }) => chainIds.has(id) && time.getTime() >= fromMs);
  return new Set(chain.map(({ id }) => id));
}
