import * as fc from "fast-check";
import { expect, test } from "vitest";
import { formatIndex, parseIndex, parseIndexFile } from "./index-file.ts";
import type { IndexedPack } from "./index-file.ts";

const u32 = fc.nat(0xffff_ffff);
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const entry = fc.record(
  {
    id: bytes32,
    type: fc.constantFrom("data" as const, "tree" as const),
    offset: u32,
    lengthBytes: u32,
    plainBytes: fc.integer({ min: 1, max: 0xffff_ffff }),
  },
  { requiredKeys: ["id", "type", "offset", "lengthBytes"] },
);
const pack = fc.record({
  id: bytes32.map((bytes) => Buffer.from(bytes).toString("hex")),
  entries: fc.array(entry, { maxLength: 5 }),
});

test("what is written is read back", () => {
  const plain = (packs: readonly IndexedPack[] | undefined): unknown =>
    JSON.parse(JSON.stringify(packs, (_, v: unknown) => (v instanceof Uint8Array ? [...v] : v)));
  const unbuffered = (packs: readonly IndexedPack[] | undefined): unknown =>
    plain(
      packs?.map((p) => ({
        ...p,
        entries: p.entries.map((e) => ({ ...e, id: new Uint8Array(e.id) })),
      })),
    );
  fc.assert(
    fc.property(fc.array(pack, { maxLength: 4 }), (packs) => {
      expect(unbuffered(parseIndex(formatIndex(packs)))).toEqual(unbuffered(packs));
    }),
  );
});

test("garbage is no index, and no exception", () => {
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
      expect(parseIndex(Buffer.from(text))).toSatisfy((v) => v === undefined || Array.isArray(v));
    }),
  );
});

const blob = { id: "ab".repeat(32), type: "data", offset: 0, length: 40 };

test.for([
  ["an offset beyond 32 bits", { ...blob, offset: 2 ** 32 }],
  ["a negative length", { ...blob, length: -1 }],
  ["a fraction", { ...blob, offset: 0.5 }],
  ["an id that is no hash", { ...blob, id: "ab" }],
  ["an unknown type", { ...blob, type: "key" }],
  ["a plain length of text", { ...blob, uncompressed_length: "12" }],
  ["no blob at all", null],
] as const)("%s makes the whole file damaged", ([, bad]) => {
  const json = JSON.stringify({ packs: [{ id: "cd".repeat(32), blobs: [blob, bad] }] });
  expect(parseIndex(Buffer.from(json))).toBeUndefined();
});

test("an empty index of Go is empty, and fields of others are passed over", () => {
  expect(parseIndex(Buffer.from('{"packs":null}'))).toEqual([]);
  const json = { packs: [], other: [{ id: "x" }], supersedes: ["ab".repeat(32)] };
  expect(parseIndex(Buffer.from(JSON.stringify(json)))).toEqual([]);
});

test("marked packs are read back, with the time of the mark", () => {
  const id = "ab".repeat(32);
  const entries = [{ id: Buffer.alloc(32, 7), type: "data" as const, offset: 0, lengthBytes: 50 }];
  const markedAt = new Date("2026-03-04T05:06:07.089Z");
  const json = formatIndex(
    [{ id, entries: [] }],
    [
      { id, entries, markedAt },
      { id, entries },
    ],
  );
  expect(JSON.parse(Buffer.from(json).toString("utf8"))).toMatchObject({
    packs: [{ id, blobs: [] }],
    packs_to_delete: [{ id, blobs: [{ length: 50 }], time: "2026-03-04T05:06:07.089Z" }, { id }],
  });
  expect(parseIndexFile(json)).toEqual({
    packs: [{ id, entries: [] }],
    marked: [
      { id, entries, markedAt },
      { id, entries },
    ],
  });
  expect(parseIndex(json)).toHaveLength(1);
  // Without marks the field is absent, as others write it.
  expect(Buffer.from(formatIndex([])).toString("utf8")).toBe(`{"packs":[]}`);
});

test.for([
  ["2026-03-04T05:06:07.089123+02:00", "2026-03-04T03:06:07.089Z"],
  ["2026-03-04T05:06:07+02:00[Africa/Johannesburg]", "2026-03-04T03:06:07.000Z"],
  ["yesterday", undefined],
])("a mark of %s", ([time, expected]) => {
  const pack = { id: "ab".repeat(32), blobs: [], time };
  const file = parseIndexFile(Buffer.from(JSON.stringify({ packs: [], packs_to_delete: [pack] })));
  expect(file?.marked[0]?.markedAt?.toISOString()).toBe(expected);
});

test.for([{}, 7, [{}], [{ id: "x", blobs: [] }]])("marks that are none: %j", (marks) => {
  const json = Buffer.from(JSON.stringify({ packs: [], packs_to_delete: marks }));
  expect(parseIndexFile(json)).toBeUndefined();
});
