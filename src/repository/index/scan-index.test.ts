import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toHex } from "../../kernel/index.ts";
import type { PackEntry } from "../pack/header.ts";
import { formatIndex, parseIndex } from "./index-file.ts";
import type { IndexedPack } from "./index-file.ts";
import { scanIndex } from "./scan-index.ts";

/** What the scanner saw, in the form of the parser; `undefined` where it left the index to the parser. */
function scanned(json: Uint8Array): IndexedPack[] | undefined {
  const packs: { id: string; entries: PackEntry[] }[] = [];
  const whole = scanIndex(json, {
    pack: (id) => void packs.push({ id, entries: [] }),
    blob: (entry) => void packs.at(-1)?.entries.push({ ...entry, id: Uint8Array.from(entry.id) }),
  });
  return whole ? packs : undefined;
}

const shown = (packs: readonly IndexedPack[] | undefined) =>
  packs?.map(({ id, entries }) => ({
    id,
    entries: entries.map((e) => ({ ...e, id: toHex(e.id) })),
  }));

const u32 = fc.nat({ max: 0xffff_ffff });
const entry = fc
  .record({
    id: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    type: fc.constantFrom("data" as const, "tree" as const),
    offset: u32,
    lengthBytes: u32,
    plain: fc.option(fc.integer({ min: 1, max: 0xffff_ffff }), { nil: undefined }),
  })
  .map(({ plain, ...rest }): PackEntry =>
    plain === undefined ? rest : { ...rest, plainBytes: plain },
  );
const pack = fc.record({
  id: fc.uint8Array({ minLength: 32, maxLength: 32 }).map(toHex),
  entries: fc.array(entry, { minLength: 1, maxLength: 6 }),
});

describe("the scanner of indexes", () => {
  test("sees what the parser sees, in every index that we write", () => {
    fc.assert(
      fc.property(fc.array(pack, { minLength: 1, maxLength: 4 }), (packs) => {
        const json = formatIndex(packs);
        expect(shown(scanned(json))).toEqual(shown(parseIndex(json)));
        expect(scanned(json)).toBeDefined();
      }),
    );
  });

  test("never sees anything else than the parser, however a file is spoiled", () => {
    let agreed = 0;
    fc.assert(
      fc.property(
        fc.array(pack, { minLength: 1, maxLength: 2 }),
        fc.nat(),
        fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(...Buffer.from("0123456789abcdef"))),
        (packs, at, byte) => {
          const json = Buffer.from(formatIndex(packs));
          json[at % json.byteLength] = byte;
          const seen = shown(scanned(json));
          if (seen === undefined) return true;
          agreed += 1;
          return isDeepStrictEqual(seen, shown(parseIndex(json)));
        },
      ),
      { numRuns: 2000 },
    );
    expect(agreed).toBeGreaterThan(100);
  });

  test.for([
    `{"packs":[]}`,
    `{"packs":null}`,
    `{"supersedes":[],"packs":[]}`,
    `{ "packs":[]}`,
    `{"packs":[{"id":"${"AB".repeat(32)}","blobs":[]}]}`,
    `{"packs":[{"id":"${"ab".repeat(32)}","blobs":[]}]}`,
    `{"packs":[{"id":"${"ab".repeat(32)}","blobs":[{"id":"${"cd".repeat(32)}","type":"data","offset":01,"length":2}]}]}`,
    `{"packs":[{"id":"${"ab".repeat(32)}","blobs":[{"id":"${"cd".repeat(32)}","type":"data","offset":4294967296,"length":2}]}]}`,
    "",
    "garbage",
  ])("leaves %s to the parser", (json) => {
    expect(scanned(Buffer.from(json))).toBeUndefined();
  });
});
