import type { CheckFinding } from "../types.ts";

/** The closed list of what a check can find. */
const CODES = {
  key_damaged: "error",
  index_damaged: "error",
  /** Named by an index, not in the store. */
  pack_missing: "error",
  /** Truncated, grown, or an index names blobs that are not in it. */
  pack_size_differs: "error",
  /** Read data: content is not what the name says. */
  pack_damaged: "error",
  pack_header_damaged: "error",
  /** Read data: an index places a blob elsewhere in the pack than its header does, or one of the two lists it alone. */
  index_differs: "error",
  blob_damaged: "error",
  /** A file needs it, and no index names a pack for it that is there. */
  blob_missing: "error",
  tree_missing: "error",
  tree_damaged: "error",
  /** A file's blobs do not add up to its size. */
  node_size_differs: "error",
  /** A name that is no name of a file (empty, `.`, `..`, a slash in it, over 255 bytes): stock tools cannot restore it. */
  name_unusable: "error",
  snapshot_damaged: "error",
  /** Indexes that disagree about one blob's length. */
  index_conflict: "warning",
  /** A key file that no record of ours vouches for. */
  key_unknown: "warning",
  lock_stale: "warning",
  lock_damaged: "warning",
  /** Left by a writer that did not commit, or that is at work; prune removes it. */
  pack_unreferenced: "information",
  /** More of the same code than are listed. */
  further_findings: "error",
} as const satisfies Record<string, CheckFinding["severity"]>;

export type FindingCode = keyof typeof CODES;

/** A repository in ruins must not exhaust memory: beyond this many of one code they are only counted. */
const MAX_PER_CODE = 1000;

export class Findings {
  readonly #list: CheckFinding[] = [];
  readonly #counts = new Map<FindingCode, number>();

  add(code: FindingCode, message: string, subject: Readonly<Record<string, string>>): void {
    const count = (this.#counts.get(code) ?? 0) + 1;
    this.#counts.set(code, count);
    if (count <= MAX_PER_CODE) this.#list.push({ severity: CODES[code], code, message, subject });
  }

  /** Sorted, so that the same damage gives the same list. */
  all(): readonly CheckFinding[] {
    const further = [...this.#counts].filter(([, count]) => count > MAX_PER_CODE);
    const more = further.map(([code, count]) => ({
      severity: CODES[code],
      code: "further_findings",
      message: `${count - MAX_PER_CODE} more findings ${code}`,
      subject: { code, count: String(count - MAX_PER_CODE) },
    }));
    return [...this.#list, ...more].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  }
}

function keyOf({ code, subject }: CheckFinding): string {
  return `${code} ${Object.values(subject).join(" ")}`;
}
