import { assert, json, oneof, property, string } from "fast-check";
import { describe, expect, test } from "vitest";
import { checkChain } from "./chain.ts";
import { EMPTY_HEAD, formatRecord, nextRecord, parseRecord, tornTail } from "./record.ts";
import type { Access, ChainHead } from "./record.ts";
import { readTail } from "./tail.ts";

function access(action: Access["action"], subject: Access["subject"] = {}): Access {
  return { at: new Date(1_700_000_000_000), actor: "ann", host: "web1", action, subject };
}

/** A log of `count` records, as lines without their ends. */
function chainOf(count: number): { readonly lines: string[]; readonly head: ChainHead } {
  const lines: string[] = [];
  let head = EMPTY_HEAD;
  for (let index = 0; index < count; index += 1) {
    const record = nextRecord(head, access("dump", { path: `file ${index}` }));
    lines.push(formatRecord(record).trimEnd());
    head = { seq: record.seq, hash: record.hash };
  }
  return { lines, head };
}

function bytesOf(lines: readonly string[]): Uint8Array {
  return Buffer.from(lines.map((line) => `${line}\n`).join(""));
}

async function faults(bytes: Uint8Array, noted?: ChainHead): Promise<string[]> {
  const report = await checkChain([bytes], noted);
  return report.findings.map(({ fault, line }) => `${fault}:${line}`);
}

describe("a record", () => {
  test("is canonical: any other spelling of the same is no record", () => {
    const [line = ""] = chainOf(1).lines;
    expect(parseRecord(line)?.seq).toBe(1);
    expect(parseRecord(` ${line}`)).toBeUndefined();
    expect(parseRecord(line.replace('"v":1', '"v": 1'))).toBeUndefined();
    expect(parseRecord(line.replace('"actor":"ann"', '"actor":"bob"'))).toBeUndefined();
    expect(parseRecord(line.replace('"v":1}', '"v":1,"x":1}'))).toBeUndefined();
  });

  test("stays small whatever it is about, and keeps apart what it cuts", () => {
    const long = nextRecord(EMPTY_HEAD, access("ls", { path: "x".repeat(1_000_000) }));
    const other = nextRecord(EMPTY_HEAD, access("ls", { path: `${"x".repeat(1_000_000)}y` }));
    expect(formatRecord(long).length).toBeLessThan(3000);
    expect(long.hash).not.toBe(other.hash);
  });

  test("holds any text and comes back the same", () => {
    assert(
      property(string({ unit: "binary" }), (path) => {
        const record = nextRecord(EMPTY_HEAD, access("dump", { path }));
        expect(parseRecord(formatRecord(record).slice(0, -1))).toEqual(record);
      }),
    );
  });

  test("garbage is none, and no other error", () => {
    assert(
      property(oneof(string(), json()), (line) => {
        expect(parseRecord(line)).toBeUndefined();
      }),
    );
  });
});

describe("the chain", () => {
  test("holds, however the bytes are cut", async () => {
    const { lines, head } = chainOf(20);
    const bytes = bytesOf(lines);
    for (const size of [1, 7, 100, bytes.length]) {
      const chunks: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
      const report = await checkChain(chunks, head);
      expect(report).toEqual({ records: 20, head, findings: [] });
    }
  });

  test("a changed record is found", async () => {
    const { lines, head } = chainOf(5);
    lines[2] = lines[2]?.replace("file 2", "file X") ?? "";
    expect(await faults(bytesOf(lines), head)).toEqual(["record_changed:3", "record_missing:4"]);
  });

  test("a changed record with its hash made to fit is found", async () => {
    const { lines, head } = chainOf(5);
    const third = parseRecord(lines[2] ?? "");
    const before = { seq: 2, hash: third?.previous ?? "" };
    lines[2] = formatRecord(nextRecord(before, access("dump", { path: "other" }))).trimEnd();
    expect(await faults(bytesOf(lines), head)).toEqual(["record_missing:4"]);
  });

  test("a removed record is found", async () => {
    const { lines, head } = chainOf(5);
    lines.splice(1, 1);
    expect(await faults(bytesOf(lines), head)).toEqual(["record_missing:2"]);
  });

  test("a removed first record is found", async () => {
    const { lines, head } = chainOf(3);
    expect(await faults(bytesOf(lines.slice(1)), head)).toEqual(["record_missing:1"]);
  });

  test("two records exchanged are found", async () => {
    const { lines, head } = chainOf(4);
    const [a = "", b = "", c = "", d = ""] = lines;
    expect((await faults(bytesOf([a, c, b, d]), head)).length).toBeGreaterThan(0);
  });

  test("a cut end is found by the noted head", async () => {
    const { lines, head } = chainOf(5);
    expect(await faults(bytesOf(lines.slice(0, 3)), head)).toEqual(["log_cut:3"]);
    expect(await faults(new Uint8Array(), head)).toEqual(["log_cut:0"]);
  });

  test("a log ahead of its note is a crash between the two, and no fault", async () => {
    const { lines } = chainOf(5);
    const fourth = parseRecord(lines[3] ?? "");
    expect(await faults(bytesOf(lines), { seq: 4, hash: fourth?.hash ?? "" })).toEqual([]);
  });

  test("a torn end is said, and accepted once the next record names it", async () => {
    const { lines, head } = chainOf(2);
    const torn = lines[1]?.slice(0, 40) ?? "";
    const bytes = Buffer.concat([bytesOf(lines), Buffer.from(torn)]);
    expect(await faults(bytes, head)).toEqual(["torn_tail:3"]);
    const named = formatRecord(nextRecord(head, access("ls"), tornTail(Buffer.from(torn))));
    expect(await faults(Buffer.concat([bytes, Buffer.from(`\n${named}`)]), head)).toEqual([]);
    const unnamed = formatRecord(nextRecord(head, access("ls")));
    expect(await faults(Buffer.concat([bytes, Buffer.from(`\n${unnamed}`)]), head)).toEqual([
      "record_changed:3",
    ]);
  });

  test("torn bytes that were taken away are missed", async () => {
    const { lines, head } = chainOf(1);
    const record = nextRecord(head, access("ls"), tornTail(Buffer.from("half a rec")));
    const bytes = bytesOf([...lines, formatRecord(record).trimEnd()]);
    expect(await faults(bytes)).toEqual(["record_missing:2"]);
  });
});

describe("the end of a log, read before the next append", () => {
  test("an empty one begins a chain", () => {
    expect(readTail(new Uint8Array(), true, undefined)).toEqual({
      head: EMPTY_HEAD,
      needsNewline: false,
    });
  });

  test("the last record is the head, also from the middle of a line on", () => {
    const { lines, head } = chainOf(5);
    const bytes = bytesOf(lines);
    expect(readTail(bytes, true, head)).toEqual({ head, needsNewline: false });
    expect(readTail(bytes.subarray(30), false, head)).toEqual({ head, needsNewline: false });
  });

  test("every cut within the last line is torn or whole, never an error", () => {
    const { lines, head } = chainOf(3);
    const bytes = bytesOf(lines);
    const second = parseRecord(lines[1] ?? "");
    const noted = { seq: 2, hash: second?.hash ?? "" };
    const lastStart = bytesOf(lines.slice(0, 2)).length;
    for (let end = lastStart + 1; end < bytes.length - 1; end += 1) {
      expect(readTail(bytes.subarray(0, end), true, noted)).toEqual({
        head: noted,
        torn: tornTail(bytes.subarray(lastStart, end)),
        needsNewline: true,
      });
    }
    expect(readTail(bytes.subarray(0, -1), true, noted)).toEqual({ head, needsNewline: true });
  });

  test("a second crash adds to the first one's torn bytes", async () => {
    const { lines, head } = chainOf(1);
    const text = `${lines[0]}\n{"action":"du\n{"act`;
    const tail = readTail(Buffer.from(text), true, head);
    expect(tail).toEqual({
      head,
      torn: tornTail(Buffer.from('{"action":"du\n{"act')),
      needsNewline: true,
    });
    const next = formatRecord(nextRecord(tail.head, access("ls"), tail.torn));
    expect(await faults(Buffer.from(`${text}\n${next}`), head)).toEqual([]);
  });

  test("a torn line that was closed is torn without its line end", async () => {
    const { lines, head } = chainOf(1);
    const text = `${lines[0]}\n{"action":"du\n`;
    const tail = readTail(Buffer.from(text), true, head);
    expect(tail.needsNewline).toBe(false);
    const next = formatRecord(nextRecord(tail.head, access("ls"), tail.torn));
    expect(await faults(Buffer.from(`${text}${next}`), head)).toEqual([]);
  });

  const broken = expect.objectContaining({ code: "access.chain_broken" });

  test("a log that is behind its note is refused: cut, emptied or changed at its end", () => {
    const { lines, head } = chainOf(5);
    expect(() => readTail(bytesOf(lines.slice(0, 4)), true, head)).toThrow(broken);
    expect(() => readTail(new Uint8Array(), true, head)).toThrow(broken);
    const changed = [...lines.slice(0, 4), lines[4]?.replace("ann", "bob") ?? ""];
    expect(() => readTail(bytesOf(changed), true, head)).toThrow(broken);
  });

  test("a log without its note is refused, unless it crashed within its first append", () => {
    const { lines } = chainOf(2);
    expect(() => readTail(bytesOf(lines), true, undefined)).toThrow(broken);
    expect(readTail(bytesOf(lines.slice(0, 1)), true, undefined).head.seq).toBe(1);
    expect(readTail(Buffer.from('{"act'), true, undefined)).toMatchObject({ head: EMPTY_HEAD });
  });

  test("a gap after the note is refused", () => {
    const { lines } = chainOf(4);
    const first = parseRecord(lines[0] ?? "");
    const noted = { seq: 1, hash: first?.hash ?? "" };
    expect(() => readTail(bytesOf([lines[0] ?? "", lines[3] ?? ""]), true, noted)).toThrow(broken);
  });
});
