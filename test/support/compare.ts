import { compareImages, formatDifference, takeImage } from "../../demo/compare/compare.ts";

export { compareImages, takeImage } from "../../demo/compare/compare.ts";

export interface CompareSide {
  /** A superuser's connection URI. */
  readonly url: string;
  /** The target's bootstrap superuser, which is the server's and not the database's. */
  readonly ignoreRoles?: readonly string[];
}

/** Every difference between two databases as one line each; `[]` when they are the same. */
export async function differencesBetween(
  source: CompareSide,
  target: CompareSide,
): Promise<string[]> {
  const [before, after] = [await takeImage(source), await takeImage(target)];
  return compareImages(before, after).map(formatDifference);
}
