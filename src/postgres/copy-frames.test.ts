import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concatBytes, toHex } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { createCopyFrames, PAYLOAD_BUFFER_BYTES } from "./copy-frames.ts";

interface Message {
  readonly type: string;
  readonly body: Bytes;
}

function frame({ type, body }: Message): Bytes {
  const header = Buffer.alloc(5);
  header.write(type, "latin1");
  header.writeInt32BE(body.byteLength + 4, 1);
  return Buffer.concat([header, body]);
}

function deframe(stream: Bytes, cuts: readonly number[]): { payload: string; messages: string } {
  const frames = createCopyFrames();
  const payload: Bytes[] = [new Uint8Array(0)];
  const messages: Bytes[] = [new Uint8Array(0)];
  for (let at = 0, turn = 0; at < stream.byteLength; turn += 1) {
    const size = cuts[turn % cuts.length] ?? 1;
    const step = frames.push(stream.subarray(at, at + size));
    payload.push(step.payload);
    messages.push(step.messages);
    at += size;
  }
  return { payload: toHex(concatBytes(payload)), messages: toHex(concatBytes(messages)) };
}

function expected(sent: readonly Message[]): { payload: string; messages: string } {
  const rows = sent.filter(({ type }) => type === "d").map(({ body }) => body);
  const others = sent.filter(({ type }) => type !== "d").map(frame);
  return {
    payload: toHex(Buffer.concat(rows)),
    messages: toHex(Buffer.concat(others)),
  };
}

const row = (body: Bytes): Message => ({ type: "d", body });
const notice: Message = { type: "N", body: Buffer.from("SNOTICE\0Mdeep thought\0\0") };
const done: Message = { type: "c", body: new Uint8Array(0) };
const complete: Message = { type: "C", body: Buffer.from("COPY 42\0") };

describe("createCopyFrames", () => {
  test("rows come out bare, everything else passes on whole", () => {
    const sent = [
      row(Buffer.from("1\tone\n")),
      notice,
      row(new Uint8Array(0)),
      row(Buffer.from("2\ttwo\n")),
      done,
      complete,
    ];
    const stream = Buffer.concat(sent.map(frame));
    for (const cuts of [[stream.length], [1], [2, 3], [5], [7]]) {
      expect(deframe(stream, cuts)).toEqual(expected(sent));
    }
  });

  test("any messages, cut anywhere", () => {
    const body = fc.oneof(
      { weight: 9, arbitrary: fc.uint8Array({ maxLength: 150 }) },
      { weight: 1, arbitrary: fc.uint8Array({ minLength: 2000, maxLength: 9000, size: "max" }) },
    );
    const message = fc.oneof(
      { weight: 9, arbitrary: body.map(row) },
      { weight: 1, arbitrary: fc.record({ type: fc.constantFrom("N", "S", "c", "E"), body }) },
    );
    const cuts = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 60 }), cuts, (sent, sizes) => {
        expect(deframe(Buffer.concat(sent.map(frame)), sizes)).toEqual(expected(sent));
      }),
    );
  });

  test("chunks and rows larger than any buffer of ours", () => {
    const sent = [
      row(new Uint8Array(3_000_000).fill(1)),
      notice,
      ...Array.from({ length: 30_000 }, (_, i) => row(Buffer.from(`${i}\tvalue\n`))),
      { type: "D", body: new Uint8Array(900_000).fill(2) },
      row(Buffer.from("end")),
    ];
    const stream = Buffer.concat(sent.map(frame));
    for (const cuts of [[stream.length], [65_536], [1_000_003, 1]]) {
      expect(deframe(stream, cuts)).toEqual(expected(sent));
    }
  });

  test("what was returned stays as it is, and the chunk as it was", () => {
    const frames = createCopyFrames();
    const chunk = frame(row(Buffer.from("first")));
    const before = toHex(chunk);
    const first = frames.push(chunk).payload;
    frames.push(frame(row(Buffer.from("other"))));
    expect(Buffer.from(first).toString()).toBe("first");
    expect(toHex(chunk)).toBe(before);
  });

  test("spare buffers are taken for large payloads, and only for those", () => {
    const spare = new Uint8Array(PAYLOAD_BUFFER_BYTES);
    const spares: Bytes[] = [spare];
    const frames = createCopyFrames(spares);
    expect(frames.push(frame(row(Buffer.from("small")))).payload.buffer).not.toBe(spare.buffer);
    const large = frames.push(frame(row(new Uint8Array(50_000).fill(7)))).payload;
    expect(large.buffer).toBe(spare.buffer);
    expect(toHex(large)).toBe("07".repeat(50_000));
    expect(spares).toEqual([]);
    const next = frames.push(frame(row(new Uint8Array(50_000).fill(8)))).payload;
    expect(next.buffer.byteLength).toBe(PAYLOAD_BUFFER_BYTES);
    expect(large[49_999]).toBe(7);
  });

  test.for([
    ["a CopyData frame", "d"],
    ["another message", "N"],
  ] as const)("%s with an impossible length is refused", ([, type]) => {
    for (const length of [3, 0, -1]) {
      const header = Buffer.alloc(5);
      header.write(type, "latin1");
      header.writeInt32BE(length, 1);
      const good = frame(row(Buffer.from("good")));
      expect(() => createCopyFrames().push(Buffer.concat([good, header]))).toThrow(
        /length below 4/,
      );
    }
  });
});
