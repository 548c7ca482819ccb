import { createHash, randomBytes } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toHex } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { BlobIndex } from "./blob-index.ts";

function idOf(n: number): Bytes {
  return createHash("sha256").update(String(n)).digest();
}

describe("the blob index", () => {
  test("takes at most 64 bytes a blob, a million of them", () => {
    const index = new BlobIndex();
    const pack = index.packNumber("ab".repeat(32));
    const count = 1_000_000;
    const ids = randomBytes(32 * count);
    for (let i = 0; i < count; i += 1) {
      const id = ids.subarray(i * 32, i * 32 + 32);
      index.add({ id, type: "data", offset: i, lengthBytes: 100, plainBytes: 200 }, pack);
    }
    expect(index.size).toBe(count);
    expect(index.memoryBytes / count).toBeLessThanOrEqual(64);
    for (let i = 0; i < count; i += 997) {
      expect(index.position(ids.subarray(i * 32, i * 32 + 32), "data")).toBe(i);
    }
    expect(index.has(randomBytes(32), "data")).toBe(false);
  });

  test.for([1, 1 << 12, 100_000, 3_145_728 / 4 + 1, 3_145_728 / 2 + 1])(
    "stays below 64 bytes a blob where its tables have just grown, at %i blobs",
    (count) => {
      const index = new BlobIndex();
      const id = Buffer.alloc(32);
      for (let i = 0; i < count; i += 1) {
        // Spread like a hash, cheaper than one.
        id.writeUInt32LE(Math.imul(i, 0x9e3779b1) >>> 0, 0);
        id.writeUInt32LE(i, 4);
        index.claim(id, "data");
      }
      // One segment and the first slots are there from the start.
      expect(index.memoryBytes).toBeLessThanOrEqual(64 * count + 900_000);
    },
  );

  test("takes a blob at four thousand places, as a poisoned index may list it", () => {
    const index = new BlobIndex();
    const pack = index.packNumber("ab".repeat(32));
    for (let offset = 0; offset < 4_000; offset += 1) {
      index.add({ id: idOf(1), type: "data", offset, lengthBytes: 100 }, pack);
    }
    const offsets = index.positions(idOf(1), "data").map((position) => index.offsetAt(position));
    expect(offsets).toEqual(Array.from({ length: 4_000 }, (_, offset) => offset));
    expect(index.claim(idOf(1), "data")).toBe(false);
  });

  test("keeps every field, at the ends of their ranges", () => {
    const index = new BlobIndex();
    const pack = index.packNumber("cd".repeat(32));
    const max = 0xffff_ffff;
    const blob = {
      id: idOf(1),
      type: "tree",
      offset: max,
      lengthBytes: max,
      plainBytes: max,
    } as const;
    index.add(blob, pack);
    const found = index.at(index.position(idOf(1), "tree"));
    expect({ ...found, id: toHex(found.id) }).toEqual({
      ...blob,
      id: toHex(blob.id),
      pack: "cd".repeat(32),
    });
    expect(index.plainLengthAt(0)).toBe(max);
    expect(index.isTreeAt(0)).toBe(true);
  });

  test("tells a tree from data of the same id", () => {
    const index = new BlobIndex();
    expect(index.claim(idOf(1), "data")).toBe(true);
    expect(index.has(idOf(1), "tree")).toBe(false);
    expect(index.claim(idOf(1), "tree")).toBe(true);
    expect(index.claim(idOf(1), "data")).toBe(false);
  });

  test("keeps each place of a blob once, as candidates in order", () => {
    const index = new BlobIndex();
    const [a, b] = [index.packNumber("aa".repeat(32)), index.packNumber("bb".repeat(32))];
    const blob = { id: idOf(7), type: "data", offset: 5, lengthBytes: 90 } as const;
    index.add(blob, a);
    index.add(blob, b);
    index.add(blob, a);
    index.add({ ...blob, offset: 6 }, a);
    index.add({ ...blob, plainBytes: 91 }, a);
    const places = index.positions(idOf(7), "data").map((position) => index.at(position));
    expect(
      places.map(({ pack, offset, plainBytes }) => [pack.slice(0, 2), offset, plainBytes]),
    ).toEqual([
      ["aa", 5, undefined],
      ["bb", 5, undefined],
      ["aa", 6, undefined],
      ["aa", 5, 91],
    ]);
  });

  test("answers as a Map does, whatever is added", () => {
    const add = fc.record({
      n: fc.nat(40),
      tree: fc.boolean(),
      offset: fc.nat(3),
      pack: fc.nat(2),
    });
    fc.assert(
      fc.property(fc.array(add, { maxLength: 200 }), (adds) => {
        const index = new BlobIndex();
        const model = new Map<string, Set<string>>();
        for (const { n, tree, offset, pack } of adds) {
          const type = tree ? "tree" : "data";
          const number = index.packNumber(String(pack).repeat(64));
          index.add({ id: idOf(n), type, offset, lengthBytes: 40 }, number);
          const key = `${type} ${n}`;
          model.set(key, (model.get(key) ?? new Set()).add(`${pack} ${offset}`));
        }
        for (let n = 0; n <= 40; n += 1) {
          for (const type of ["data", "tree"] as const) {
            const found = index.positions(idOf(n), type).map((p) => index.at(p));
            const places = found.map(({ pack, offset }) => `${pack[0] ?? ""} ${offset}`);
            expect(places).toEqual([...(model.get(`${type} ${n}`) ?? [])]);
          }
        }
      }),
    );
  });
});
