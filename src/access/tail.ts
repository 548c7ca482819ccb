import type { Bytes } from "../kernel/index.ts";
import { accessError } from "./errors.ts";
import { EMPTY_HEAD, GENESIS, parseRecord, tornTail } from "./record.ts";
import type { AuditRecord, ChainHead, TornTail } from "./record.ts";

/** What the next record has to continue. */
export interface LogTail {
  readonly head: ChainHead;
  /** Bytes after the last record, which the next record must name. */
  readonly torn?: TornTail;
  /** The log does not end with a newline: one must be written before the next record. */
  readonly needsNewline: boolean;
}

const NEWLINE = 0x0a;

/**
 * Reads the end of a log: `bytes` are its last ones, `whole` when they are all of it. `noted` is the head that was
 * written down beside the log after the last append. The log may be ahead of it, by a crash between the two, never
 * behind and never elsewhere: that throws `access.chain_broken`.
 */
export function readTail(bytes: Bytes, whole: boolean, noted: ChainHead | undefined): LogTail {
  const start = whole ? 0 : bytes.indexOf(NEWLINE) + 1;
  const records: AuditRecord[] = [];
  let goodEnd = start;
  for (let from = start; from < bytes.byteLength;) {
    const newline = bytes.indexOf(NEWLINE, from);
    const end = newline < 0 ? bytes.byteLength : newline;
    const record = parseRecord(Buffer.from(bytes.subarray(from, end)).toString("utf8"));
    from = newline < 0 ? bytes.byteLength : newline + 1;
    if (record === undefined) continue;
    records.push(record);
    goodEnd = from;
  }
  demandNoted(records, noted, whole);
  const last = records.at(-1);
  const rest = bytes.subarray(goodEnd);
  // The newline that closes the torn line, where one does, belongs to the log and not to the torn bytes.
  const closed = rest.at(-1) === NEWLINE;
  const torn = closed ? rest.subarray(0, -1) : rest;
  return {
    head: last === undefined ? EMPTY_HEAD : { seq: last.seq, hash: last.hash },
    ...(rest.byteLength === 0 ? {} : { torn: tornTail(torn) }),
    needsNewline: bytes.byteLength > 0 && bytes.at(-1) !== NEWLINE,
  };
}

/** From the noted record on, the chain must hold without a gap. */
function demandNoted(
  records: readonly AuditRecord[],
  noted: ChainHead | undefined,
  whole: boolean,
): void {
  const last = records.at(-1);
  if (noted === undefined) {
    // Without a note there was a crash within the very first append, or somebody took the note away.
    if (whole && records.length === 0) return;
    if (whole && records.length === 1 && last?.previous === GENESIS && last.seq === 1) return;
    throw broken("audit log without the note of its last record");
  }
  const index = records.findIndex(
    (record) => record.seq === noted.seq && record.hash === noted.hash,
  );
  if (index < 0) {
    const ends = last === undefined ? "holds no record" : `ends at record ${last.seq}`;
    throw broken(`audit log that ${ends} and does not hold record ${noted.seq} as it was written`);
  }
  for (let next = index + 1; next < records.length; next += 1) {
    const before = records[next - 1];
    const record = records[next];
    if (record?.previous !== before?.hash || record?.seq !== (before?.seq ?? 0) + 1) {
      throw broken(`audit log whose record ${record?.seq} does not follow the one before it`);
    }
  }
}

function broken(message: string): Error {
  return accessError("chain_broken", { message });
}
