/**
 * Writes the golden repository anew: `node test/conformance/golden/make.ts FOLDER`. Clock, randomness and content are
 * fixed. Only for a change of the format that is meant; the one that is checked in is what older versions wrote.
 */
import { createHash } from "node:crypto";
import { Secret, systemClock } from "../../../src/kernel/index.ts";
import type { Clock, RandomBytes } from "../../../src/kernel/index.ts";
import { createFsStore } from "../../../src/objectstore/index.ts";
import type { ObjectStore } from "../../../src/objectstore/index.ts";
import { createRepository } from "../../../src/repository/index.ts";
import type { Repository } from "../../../src/repository/index.ts";
import { patternBytes } from "../../../src/objectstore/testing/index.ts";
import { saveAll } from "../../support/restic-repository.ts";
import type { TestFile } from "../../support/restic-repository.ts";

export const GOLDEN_PASSWORD = "golden";
const AT = new Date("2026-01-01T00:00:00.000Z");
const OWNER = { hostname: "golden", username: "golden" };

/** SHA-256 of a counter. */
export function countedRandom(seed: string): RandomBytes {
  let count = 0;
  return (size) => {
    const parts: Buffer[] = [];
    for (let made = 0; made < size; made += 32) {
      parts.push(createHash("sha256").update(`${seed} ${count}`).digest());
      count += 1;
    }
    return Buffer.concat(parts).subarray(0, size);
  };
}

export const GOLDEN_FILES: readonly (readonly TestFile[])[] = [
  [
    { path: ["a.txt"], content: Buffer.from("the same text, over and over\n".repeat(200)) },
    { path: ["empty"], content: new Uint8Array() },
    { path: ["folder", "random"], content: patternBytes(5_000, 42) },
    { path: ["folder", "a/b%"], content: Buffer.from("escaped") },
    {
      path: ["table.copy"],
      content: Buffer.from(Array.from({ length: 12_000 }, (_, row) => `${row}\tvalue\n`).join("")),
      metadata: { kind: "table" },
    },
  ],
  [
    { path: ["a.txt"], content: Buffer.from("the same text, over and over\n".repeat(200)) },
    { path: ["folder", "random"], content: patternBytes(5_001, 42) },
  ],
];

export function createGolden(store: ObjectStore): Promise<Repository> {
  const clock: Clock = { ...systemClock, now: () => AT };
  return createRepository(
    { store, clock, random: countedRandom("golden") },
    { ...OWNER, password: new Secret(GOLDEN_PASSWORD), cost: { N: 1024, r: 8, p: 1 } },
  );
}

if (process.argv[1] === import.meta.filename) {
  const [, , folder = ""] = process.argv;
  const repository = await createGolden(createFsStore(folder, { random: countedRandom("names") }));
  for (const [index, files] of GOLDEN_FILES.entries()) {
    await using writer = await repository.acquireWriter({ ...OWNER, pid: process.pid });
    await saveAll(writer, files);
    const time = new Date(AT.getTime() + index * 86_400_000);
    await writer.commit({ time, paths: ["/app"], tags: [`round=${index}`] });
  }
}
