import { describe, expect, test } from "vitest";
import type { IndexedPack } from "../index/index-file.ts";
import { decideFates, unusedLimitBytes } from "./decide.ts";
import { Needs } from "./needs.ts";
import { PackLedger } from "./pack-facts.ts";
import type { PackFacts } from "./pack-facts.ts";
import { settleNeeds } from "./settle.ts";

const BLOBS_PER_PACK = 190;

/** Spread like a hash, cheaper than one. */
function idOf(number: number): Buffer {
  const id = Buffer.alloc(32);
  id.writeUInt32LE(Math.imul(number, 0x9e3779b1) >>> 0, 0);
  id.writeUInt32LE(number, 4);
  return id;
}

function packOf(number: number): IndexedPack {
  const id = String(number).padStart(64, "0");
  const entries = Array.from({ length: BLOBS_PER_PACK }, (_, at) => ({
    id: idOf(number * BLOBS_PER_PACK + at),
    type: "data" as const,
    offset: at * 90_000,
    lengthBytes: 90_000,
    plainBytes: 200_000,
  }));
  return { id, entries };
}

test("what a plan holds takes at most 64 bytes a blob", { timeout: 30_000 }, () => {
  const ledger = new PackLedger();
  const packs = 1700;
  for (let file = 0; file < packs; file += 100) {
    const listed = Array.from({ length: 100 }, (_, at) => packOf(file + at));
    ledger.addFile(`file ${file}`, { packs: listed, marked: [] });
  }
  for (const pack of ledger.packs) pack.storedBytes = pack.expectedBytes;
  const needs = new Needs();
  needs.fit(ledger.index);
  const blobs = packs * BLOBS_PER_PACK;
  expect(ledger.index.size).toBe(blobs);
  expect(blobs).toBeGreaterThan(300_000);
  for (let position = 0; position < blobs; position += 2) needs.set(position, 0);
  const used = settleNeeds(ledger, needs);
  expect(used).toEqual({ blobs: blobs / 2, bytes: (blobs / 2) * 90_000 });
  decideFates(ledger.packs, OPTIONS);
  // A pack's facts are a few hundred bytes, of which each of its blobs bears a part.
  const factsBytes = ledger.packs.length * 400;
  const bytes = ledger.index.memoryBytes + needs.memoryBytes + factsBytes;
  expect(bytes / blobs).toBeLessThanOrEqual(64);
});

const OPTIONS = {
  nowMs: 1_000_000,
  graceMs: 1000,
  maxUnused: { bytes: 0 },
  repackSmallerThanBytes: 0,
  maxRepackBytes: Infinity,
};

function pack(id: string, changes: Partial<PackFacts>): PackFacts {
  return {
    id,
    storedBytes: 1000,
    expectedBytes: 1000,
    live: true,
    marked: false,
    markedAtMs: undefined,
    hasTrees: false,
    blobs: 10,
    usedBlobs: 10,
    usedBytes: 900,
    sealedBytes: 900,
    lifetime: 0,
    suspect: false,
    fate: "keep",
    ...changes,
  };
}

describe("the fate of a pack", () => {
  test.for([
    ["all of it needed", {}, "keep"],
    ["nothing of it needed", { usedBlobs: 0, usedBytes: 0 }, "mark"],
    ["a part of it needed", { usedBytes: 500 }, "repack"],
    ["gone, not needed", { storedBytes: -1, usedBlobs: 0, usedBytes: 0 }, "missing"],
    ["of a wrong size, needed", { storedBytes: 999, suspect: true, usedBytes: 500 }, "keep"],
    [
      "marked a moment ago",
      { live: false, marked: true, markedAtMs: 999_500, usedBlobs: 0 },
      "waiting",
    ],
    [
      "marked long ago",
      { live: false, marked: true, markedAtMs: 999_000, usedBlobs: 0 },
      "expired",
    ],
    ["marked at no known time", { live: false, marked: true, usedBlobs: 0 }, "waiting"],
    ["marked and needed", { live: false, marked: true, markedAtMs: 0 }, "recover"],
  ] as const)("%s", ([, changes, fate]) => {
    const one = pack("a", changes);
    decideFates([one], OPTIONS);
    expect(one.fate).toBe(fate);
  });

  test("without grace nothing waits", () => {
    const packs = [
      pack("a", { usedBlobs: 0, usedBytes: 0 }),
      pack("b", { live: false, marked: true, usedBlobs: 0 }),
    ];
    decideFates(packs, { ...OPTIONS, graceMs: 0 });
    expect(packs.map(({ fate }) => fate)).toEqual(["expired", "expired"]);
  });

  test("the most wasteful are rewritten first, until little enough is unused or enough is rewritten", () => {
    const packs = [
      pack("a", { usedBytes: 800 }),
      pack("b", { usedBytes: 100 }),
      pack("c", { usedBytes: 500 }),
      pack("d", { usedBytes: 890, hasTrees: true }),
    ];
    const fates = (changes: Partial<typeof OPTIONS>): string => {
      decideFates(packs, { ...OPTIONS, ...changes });
      return packs
        .filter(({ fate }) => fate === "repack")
        .map(({ id }) => id)
        .join("");
    };
    expect(fates({})).toBe("abcd");
    // Trees are always kept dense.
    expect(fates({ maxUnused: { bytes: 2000 } })).toBe("d");
    expect(fates({ maxUnused: { bytes: 500 } })).toBe("bd");
    expect(fates({ maxUnused: { bytes: 499 } })).toBe("bcd");
    expect(fates({ maxRepackBytes: 2000 })).toBe("bd");
    expect(fates({ maxRepackBytes: 999 })).toBe("");
  });

  test("a share of unused is one of what stays", () => {
    expect(unusedLimitBytes({ share: 0.05 }, 95)).toBeCloseTo(5);
    expect(unusedLimitBytes({ share: 1 }, 95)).toBe(Infinity);
    expect(unusedLimitBytes({ bytes: 7 }, 95)).toBe(7);
  });
});
