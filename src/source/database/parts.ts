/** How a table is cut into parts by physical place (ctid), and these into chunks. Pure. */
import { GIB } from "../../kernel/index.ts";
import type { EntryKind } from "../../repository/index.ts";

export interface PageRange {
  readonly fromPage: number;
  /** Exclusive; absent in the last part, which takes whatever the table has grown by. */
  readonly toPage?: number;
}

export interface SplitInput {
  readonly heapBytes: number;
  readonly toastBytes: number;
  readonly blockBytes: number;
  readonly splitBytes: number;
}

/** Undefined: the whole table in one part. */
export function splitByPages(input: SplitInput): readonly PageRange[] | undefined {
  const totalBytes = input.heapBytes + input.toastBytes;
  const pages = Math.ceil(input.heapBytes / input.blockBytes);
  if (totalBytes <= input.splitBytes || pages < 2) return undefined;
  const step = pagesOfPart(input, totalBytes);
  if (step >= pages) return undefined;
  const ranges: PageRange[] = [];
  for (let fromPage = 0; fromPage < pages; fromPage += step) {
    const toPage = fromPage + step;
    ranges.push(toPage < pages ? { fromPage, toPage } : { fromPage });
  }
  return ranges;
}

/** A power of two, so that a table that grew a little is cut at the same places as the day before. */
function pagesOfPart(input: SplitInput, totalBytes: number): number {
  const heapShare = input.heapBytes / totalBytes;
  const wanted = (input.splitBytes * heapShare) / input.blockBytes;
  return 2 ** Math.max(0, Math.floor(Math.log2(Math.max(1, wanted))));
}

export function rangeCondition(range: PageRange): string {
  const from = `ctid >= '(${range.fromPage},0)'::pg_catalog.tid`;
  return range.toPage === undefined
    ? from
    : `${from} AND ctid < '(${range.toPage},0)'::pg_catalog.tid`;
}

/**
 * Cut finely, what changed since the day before is stored again and little beside it; but each chunk costs 64 bytes of
 * memory in every run, so that beyond this they are longer. A table that grows past it is stored anew once.
 */
const FINE_TABLE_BYTES = 4 * GIB;

export function chunksOf(size: Pick<SplitInput, "heapBytes" | "toastBytes">): EntryKind {
  return size.heapBytes + size.toastBytes <= FINE_TABLE_BYTES ? "small-table" : "table";
}

/** `0000`, `0001`, …; wider numbers once there are more. */
export function partName(index: number, format: "text" | "binary"): string {
  return `${String(index).padStart(4, "0")}.${format === "text" ? "copy" : "copy-binary"}`;
}
