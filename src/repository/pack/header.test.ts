import * as fc from "fast-check";
import { expect, test } from "vitest";
import { formatHeaderEntry, parseHeader } from "./header.ts";

const id = Buffer.alloc(32, 7);

test("entries have restic's layout", () => {
  const plain = formatHeaderEntry({ id, type: "data", lengthBytes: 0x01020304 });
  expect(Buffer.from(plain).toString("hex")).toBe(`0004030201${"07".repeat(32)}`);
  const packed = formatHeaderEntry({ id, type: "tree", lengthBytes: 40, plainBytes: 258 });
  expect(Buffer.from(packed).toString("hex")).toBe(`032800000002010000${"07".repeat(32)}`);
});

test("entries are read back with the offsets that their order gives them", () => {
  const entries = [
    { id, type: "data", lengthBytes: 100 },
    { id, type: "data", lengthBytes: 50, plainBytes: 99 },
    { id, type: "tree", lengthBytes: 7, plainBytes: 1 },
    { id, type: "tree", lengthBytes: 8 },
  ] as const;
  const parsed = parseHeader(Buffer.concat(entries.map(formatHeaderEntry)));
  expect(parsed?.map(({ offset }) => offset)).toEqual([0, 100, 150, 157]);
  expect(
    parsed?.map(({ type, lengthBytes, plainBytes }) => [type, lengthBytes, plainBytes]),
  ).toEqual(
    entries.map((e) => [e.type, e.lengthBytes, "plainBytes" in e ? e.plainBytes : undefined]),
  );
});

test("a cut header and an unknown type are no header", () => {
  const header = formatHeaderEntry({ id, type: "data", lengthBytes: 1, plainBytes: 2 });
  for (let length = 1; length < header.byteLength; length += 1) {
    expect(parseHeader(header.subarray(0, length))).toBeUndefined();
  }
  expect(parseHeader(Buffer.concat([Buffer.from([4]), Buffer.alloc(40)]))).toBeUndefined();
});

test("garbage never throws", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(parseHeader(bytes)).toSatisfy((v) => v === undefined || Array.isArray(v));
    }),
  );
});
