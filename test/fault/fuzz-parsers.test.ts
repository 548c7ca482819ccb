import { beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/kernel/index.ts";
import { createMemoryStore } from "../../src/objectstore/index.ts";
import type { MemoryStore } from "../../src/objectstore/index.ts";
import { listKeys } from "../../src/objectstore/testing/index.ts";
import { checkAndRemember } from "../../src/repository/index.ts";
import { Planter, plantedNode, plantedTree } from "../support/plant.ts";
import { open, openJson, seal, sha256 } from "../support/restic-format.ts";
import { backUp, createOurs, openOurs, PASSWORD } from "../support/restic-repository.ts";
import { exercise } from "./fuzz/exercise.ts";
import { mutateBytes, mutateJson, seeded } from "./fuzz/mutate.ts";
import type { Random } from "./fuzz/mutate.ts";

/**
 * Every parser over garbage that got past the seal, as from somebody who holds the key. Whatever it is, the answer is an
 * error of the closed table or a finding: no crash, no walk without end. `FUZZ_SEED=…` runs one case again,
 * `FUZZ_CASES=…` so many.
 */
const LONG = process.env["TEST_LONG"] === "1";
const CASES = Number(process.env["FUZZ_CASES"] ?? (LONG ? 3_000 : 30));
const FIRST_SEED = Number(process.env["FUZZ_SEED"] ?? (LONG ? Date.now() % 1_000_000_000 : 1));
const RUNS = process.env["FUZZ_SEED"] === undefined ? CASES : 1;

let origin: MemoryStore;
let planter: Planter;

beforeAll(async () => {
  origin = createMemoryStore({ clock: systemClock });
  const repository = await createOurs(origin);
  await backUp(repository, [
    { path: ["folder", "a"], content: Buffer.from("content ".repeat(2_000)) },
    { path: ["b"], content: Buffer.from("b") },
  ]);
  await checkAndRemember(await openOurs(origin), { read: "all", withinMs: 1000 });
  planter = await Planter.open(origin, PASSWORD);
});

const fork = (): { store: MemoryStore; plant: Planter } => {
  const store = origin.fork();
  return { store, plant: new Planter(store, planter.keys) };
};

async function onlyKey(store: MemoryStore, prefix: string): Promise<string> {
  const [key = ""] = await listKeys(store, prefix);
  return key;
}

async function jsonOf(store: MemoryStore, prefix: string): Promise<string> {
  return JSON.stringify(openJson(await store.get(await onlyKey(store, prefix)), planter.keys));
}

const lock = {
  time: "2026-02-01T00:00:00Z",
  exclusive: false,
  hostname: "h",
  username: "u",
  pid: 7,
};
const tree = plantedTree([
  plantedNode("file", {
    size: 1,
    content: ["ab".repeat(32)],
    extended_attributes: [{ name: "user.x", value: "eA==" }],
  }),
  plantedNode("folder", { type: "dir", mode: 2_147_484_096, subtree: "cd".repeat(32) }),
  plantedNode("link", { type: "symlink", linktarget: "/etc/passwd" }),
]).toString();

/** Puts one mutated file into a fork of a good repository. */
const KINDS: readonly (readonly [
  kind: string,
  plant: (parts: ReturnType<typeof fork>, random: Random) => Promise<void>,
])[] = [
  [
    "config",
    async ({ store }, random) => {
      const plain = open(await store.get("config"), planter.keys).toString();
      await store.put("config", [seal(mutateJson(plain, random), planter.keys)]);
    },
  ],
  [
    "key file",
    async ({ store }, random) => {
      const key = await onlyKey(store, "keys/");
      const bytes = mutateJson(Buffer.from(await store.get(key)).toString(), random);
      await store.remove(key);
      await store.put(`keys/${sha256(bytes)}`, [bytes]);
    },
  ],
  [
    "index",
    async ({ store, plant }, random) => {
      const json = await jsonOf(store, "index/");
      if (random(2) === 0) await store.remove(await onlyKey(store, "index/"));
      await plant.addFile("index", mutateJson(json, random), random(2) === 0);
    },
  ],
  [
    "snapshot",
    async ({ store, plant }, random) => {
      await plant.addFile("snapshots", mutateJson(await jsonOf(store, "snapshots/"), random));
    },
  ],
  [
    "lock",
    async ({ plant }, random) => {
      await plant.addFile("locks", mutateJson(JSON.stringify(lock), random));
    },
  ],
  [
    "tree",
    async ({ plant }, random) => {
      const bytes = Buffer.from(mutateJson(tree, random));
      await plant.addPack([bytes]);
      await plant.addSnapshot(sha256(bytes));
    },
  ],
  [
    "pack header",
    async ({ plant }, random) => {
      await plant.addPack([Buffer.from(tree), Buffer.from("second")], {
        header: (entries) => mutateBytes(entries, random),
      });
    },
  ],
  [
    "record",
    async ({ store, plant }, random) => {
      await plant.addFile(
        "sparekeep/checks",
        mutateJson(await jsonOf(store, "sparekeep/checks/"), random),
      );
    },
  ],
  [
    "sealed bytes",
    async ({ store }, random) => {
      const keys = (await listKeys(store, "")).filter((key) => !key.startsWith("keys/"));
      const key = keys[random(keys.length)] ?? "";
      const bytes = mutateBytes(await store.get(key), random);
      await store.remove(key);
      await store.put(key, [bytes]);
    },
  ],
];

describe("garbage is told from what it pretends to be", () => {
  test.for(KINDS)("%s", { timeout: LONG ? 3_600_000 : 60_000 }, async ([kind, plant]) => {
    const seen = new Set<string>();
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed += 1) {
      const parts = fork();
      try {
        await plant(parts, seeded(seed));
        for (const code of await exercise(parts.store)) seen.add(code);
      } catch (thrown) {
        throw new Error(`${kind}: rerun with FUZZ_SEED=${seed}`, { cause: thrown });
      }
    }
    // It got as far as the parser, and the parser said no at least once.
    const complaints = [...seen].filter((code) => code !== "fine");
    expect(RUNS === 1 || complaints.length > 0).toBe(true);
  });
});
