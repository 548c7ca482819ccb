import type { Bytes } from "../kernel/index.ts";
import { EMPTY_HEAD, parseRecord, tornTail } from "./record.ts";
import type { ChainHead } from "./record.ts";

export type ChainFault =
  /** A line that is no record, or whose content does not give its hash. */
  | "record_changed"
  /** A record whose predecessor is not the one before it: one was removed, exchanged or put in. */
  | "record_missing"
  /** The log ends before the head that was noted after the last append. */
  | "log_cut"
  /** Bytes without an end that no later record accounts for: a crash, or tampering with the last line. */
  | "torn_tail";

export interface ChainFinding {
  readonly fault: ChainFault;
  /** Line of the log, from 1. */
  readonly line: number;
  readonly message: string;
}

export interface ChainReport {
  readonly records: number;
  readonly head: ChainHead;
  readonly findings: readonly ChainFinding[];
}

const NEWLINE = 0x0a;
const LINE_END = Uint8Array.of(NEWLINE);

/**
 * Walks a log from its first record. A line that is no record is accepted only where the next record names exactly its
 * bytes as torn. After a finding the walk goes on from the record it stands at, so that each fault is said once.
 */
export async function checkChain(
  chunks: AsyncIterable<Bytes> | Iterable<Bytes>,
  noted: ChainHead | undefined,
): Promise<ChainReport> {
  const walk = new ChainWalk(noted);
  let rest: Bytes = new Uint8Array();
  for await (const chunk of chunks) {
    let buffer: Bytes = rest.byteLength === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let end = buffer.indexOf(NEWLINE); end >= 0; end = buffer.indexOf(NEWLINE)) {
      walk.line(buffer.subarray(0, end));
      buffer = buffer.subarray(end + 1);
    }
    rest = buffer;
  }
  return walk.finish(rest);
}

class ChainWalk {
  #head: ChainHead = EMPTY_HEAD;
  #records = 0;
  #line = 0;
  #strange: { readonly lines: readonly Bytes[]; readonly line: number } | undefined;
  #hashAtNoted: string | undefined;
  readonly #noted: ChainHead | undefined;
  readonly #findings: ChainFinding[] = [];

  constructor(noted: ChainHead | undefined) {
    this.#noted = noted;
  }

  line(bytes: Bytes): void {
    this.#line += 1;
    const record = parseRecord(Buffer.from(bytes).toString("utf8"));
    if (record === undefined) {
      const lines = [...(this.#strange?.lines ?? []), Uint8Array.from(bytes)];
      this.#strange = { lines, line: this.#strange?.line ?? this.#line };
      return;
    }
    const strange = this.#strange;
    if (strange !== undefined) {
      const torn = tornTail(joined(strange.lines));
      const named = record.torn?.sha256 === torn.sha256 && record.torn.sizeBytes === torn.sizeBytes;
      if (named) this.#strange = undefined;
      else this.#reportStrange();
    } else if (record.torn !== undefined) {
      this.#add("record_missing", this.#line, "the torn line that the record names is not there");
    }
    if (record.previous !== this.#head.hash || record.seq !== this.#head.seq + 1) {
      const message = `record ${record.seq} does not follow record ${this.#head.seq}`;
      this.#add("record_missing", this.#line, message);
    }
    this.#head = { seq: record.seq, hash: record.hash };
    if (record.seq === this.#noted?.seq) this.#hashAtNoted = record.hash;
    this.#records += 1;
  }

  finish(rest: Bytes): ChainReport {
    const complete = parseRecord(Buffer.from(rest).toString("utf8")) !== undefined;
    if (complete) this.line(rest);
    this.#reportStrange();
    if (rest.byteLength > 0 && !complete) {
      this.#add("torn_tail", this.#line + 1, `${rest.byteLength} bytes without an end of line`);
    }
    const noted = this.#noted;
    if (noted !== undefined && noted.seq > 0 && this.#hashAtNoted !== noted.hash) {
      const message =
        noted.seq > this.#head.seq
          ? `the log ends at record ${this.#head.seq}, but record ${noted.seq} was written`
          : `record ${noted.seq} is not the one that was noted when it was written`;
      this.#add("log_cut", this.#line, message);
    }
    return { records: this.#records, head: this.#head, findings: this.#findings };
  }

  #reportStrange(): void {
    if (this.#strange === undefined) return;
    const message = "a line that is no record, or was changed since it was written";
    this.#add("record_changed", this.#strange.line, message);
    this.#strange = undefined;
  }

  #add(fault: ChainFault, line: number, message: string): void {
    this.#findings.push({ fault, line, message });
  }
}

function joined(lines: readonly Bytes[]): Bytes {
  return Buffer.concat(lines.flatMap((line, index) => (index === 0 ? [line] : [LINE_END, line])));
}
