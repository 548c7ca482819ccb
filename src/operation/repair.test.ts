import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFsStore } from "../objectstore/index.ts";
import { destinationNamed, parsePolicy } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import { proofsOf, saveProof } from "../repository/index.ts";
import { checkRepository } from "./check.ts";
import type { OperationContext } from "./context.ts";
import { init } from "./init.ts";
import { openDestination } from "./open.ts";
import { planRepair } from "./repair.ts";
import { testContext } from "./testing/context.ts";

let folder: string;
let context: OperationContext;
let policy: Policy;

const TEXT = `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: DB } } }
destinations:
  local: { url: ./repo, password: { file: ./key }, check: { everything_every: 10 days } }
  far: { url: "rest:https://backup.example.org/shop/", password: { file: ./key } }
plans: { full: { source: db, capture: everything, to: local } }
`;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sparekeep-repair-"));
  context = testContext({ stateDirectory: join(folder, "state") });
  policy = parsePolicy({ text: TEXT, file: "p.yaml", directory: folder });
  await init(context, { policy, generatePassword: true, destinations: ["local"] });
  const repository = await openDestination(context, destinationNamed(policy, "local"));
  const { hostname, actor: username, pid } = context;
  await using writer = await repository.acquireWriter({ hostname, username, pid });
  async function* content(): AsyncIterable<Uint8Array> {
    yield Buffer.from("content");
  }
  await writer.saveFile(["a"], content(), { kind: "file", modifiedAt: new Date(0) });
  await writer.commit({ time: new Date(), paths: ["/a"], tags: [] });
});

afterEach(() => rm(folder, { recursive: true }));

async function savePoint(text: string): Promise<string> {
  const repository = await openDestination(context, destinationNamed(policy, "local"));
  const { hostname, actor: username, pid } = context;
  await using writer = await repository.acquireWriter({ hostname, username, pid });
  async function* content(): AsyncIterable<Uint8Array> {
    yield Buffer.from(text);
  }
  await writer.saveFile(["p"], content(), { kind: "file", modifiedAt: new Date(0) });
  const tags = ["plan=full", "source=db"];
  return (await writer.commit({ time: new Date(), paths: ["/p"], tags })).id;
}

async function packsOf(root: string): Promise<string[]> {
  const data = join(root, "repo", "data");
  const entries = await readdir(data, { recursive: true, withFileTypes: true });
  return entries.flatMap((entry) => (entry.isFile() ? join(entry.parentPath, entry.name) : []));
}

const local = () => ({ policy, destination: "local" });

describe("a check", () => {
  test("remembers what it read, and says so", async () => {
    const before = await checkRepository(context, { ...local(), readData: false });
    expect(before).toMatchObject({ outcome: "clean", readPacks: 0, remembered: true });
    expect(before.coverage).toMatchObject({ readBytes: 0, withinMs: 10 * 86_400_000 });
    const read = await checkRepository(context, { ...local(), readData: true });
    expect(read).toMatchObject({ outcome: "clean", readPacks: 2, remembered: true });
    expect(read.coverage.readBytes).toBe(read.totalBytes);
    const after = await checkRepository(context, { ...local(), readData: false, within: "2h" });
    expect(after.coverage).toMatchObject({ readBytes: read.totalBytes, withinMs: 7_200_000 });
  });

  test("that read all of a point, and found it good, verifies it, and none that is suspect", async () => {
    const point = await savePoint("one");
    const repository = await openDestination(context, destinationNamed(policy, "local"));
    await checkRepository(context, { ...local(), readData: false });
    expect((await proofsOf(repository)).get(point)).toBeUndefined();
    const read = await checkRepository(context, { ...local(), readData: true });
    expect(read.verified).toEqual([point]);
    expect((await proofsOf(repository)).get(point)).toMatchObject({
      state: "verified",
      details: { how: "check --read-data" },
    });
    const doubted = await savePoint("two");
    await saveProof(repository, { snapshot: doubted, state: "suspect", by: "ann" });
    const again = await checkRepository(context, { ...local(), readData: true });
    expect(again).toMatchObject({ outcome: "clean", verified: [] });
    expect((await proofsOf(repository)).get(doubted)?.state).toBe("suspect");
  });

  test("that found damage verifies nothing", async () => {
    await savePoint("one");
    const [first = ""] = await readdir(join(folder, "repo", "data"));
    const [name = ""] = await readdir(join(folder, "repo", "data", first));
    const path = join(folder, "repo", "data", first, name);
    const bytes = await readFile(path);
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    await rm(path);
    await writeFile(path, bytes);
    const read = await checkRepository(context, { ...local(), readData: true });
    expect(read).toMatchObject({ outcome: "damaged", remembered: true, verified: [] });
  });

  test("that found damage doubts the points it takes, once, and no others", async () => {
    const whole = await savePoint("one");
    await checkRepository(context, { ...local(), readData: true });
    const before = await packsOf(folder);
    const taken = await savePoint("two");
    for (const pack of await packsOf(folder)) if (!before.includes(pack)) await rm(pack);
    const found = await checkRepository(context, { ...local(), readData: false });
    expect(found).toMatchObject({ outcome: "damaged", doubted: [taken] });
    const repository = await openDestination(context, destinationNamed(policy, "local"));
    const proofs = await proofsOf(repository);
    expect(proofs.get(whole)?.state).toBe("verified");
    expect(proofs.get(taken)).toMatchObject({ state: "suspect", details: { how: "check" } });
    const again = await checkRepository(context, { ...local(), readData: false });
    expect(again).toMatchObject({ outcome: "damaged", doubted: [] });
  });

  test("that cannot read a point doubts it where it knows it for one of ours, and judges the others", async () => {
    const lost = await savePoint("one");
    await checkRepository(context, { ...local(), readData: true });
    const before = await packsOf(folder);
    const taken = await savePoint("two");
    const whole = await savePoint("one");
    for (const pack of await packsOf(folder)) if (!before.includes(pack)) await truncate(pack, 50);
    const file = join(folder, "repo", "snapshots", lost);
    await rm(file);
    await writeFile(file, "damaged");
    await writeFile(join(folder, "repo", "snapshots", "00".repeat(32)), "damaged too");
    const found = await checkRepository(context, { ...local(), readData: false });
    expect(found).toMatchObject({ outcome: "damaged", verified: [] });
    expect(found.doubted).toContain(taken);
    expect(found.doubted).toContain(lost);
    expect(found.doubted).not.toContain("00".repeat(32));
    expect(found.unjudged).toBeUndefined();
    expect(whole).not.toBe(lost);
  });

  test("that may write no records says that no point was judged", async () => {
    await savePoint("one");
    await writeFile(join(folder, "repo", "snapshots", "00".repeat(32)), "damaged");
    // A server of restic's protocol has no room for records, and none was named beside it.
    const store = createFsStore(join(folder, "repo"), { random: context.random });
    const far = { ...context, storeAt: () => store };
    const found = await checkRepository(far, { policy, destination: "far", readData: false });
    expect(found).toMatchObject({ outcome: "damaged", doubted: [] });
    expect(found.unjudged).toMatchObject({ code: "operation.checks_not_remembered" });
  });

  test("of a part reads a part; rolling reads what is due", async () => {
    const part = await checkRepository(context, { ...local(), readData: false, subset: "50%" });
    expect(part).toMatchObject({ outcome: "clean", readPacks: 1, packs: 2 });
    const rolling = await checkRepository(context, { ...local(), readData: false, rolling: true });
    expect(rolling).toMatchObject({ outcome: "clean", remembered: true });
  });

  test.for([
    [{ readData: true, rolling: true }, "operation.check_option"],
    [{ readData: false, subset: "many" }, "operation.check_option"],
    [{ readData: false, within: "soon" }, "operation.check_option"],
    [{ readData: false, rolling: true, destination: "far" }, "operation.checks_not_remembered"],
  ] as const)("with %j is refused as %s, before anything is asked", async ([options, code]) => {
    await expect(checkRepository(context, { ...local(), ...options })).rejects.toThrow(
      expect.objectContaining({ code, kind: "usage" }),
    );
  });
});

describe("a repair", () => {
  test("of the index is planned, recorded, and carried out once", async () => {
    const repo = join(folder, "repo");
    const [name = ""] = await readdir(join(repo, "index"));
    const bytes = await readFile(join(repo, "index", name));
    await rm(join(repo, "index", name));
    await writeFile(join(repo, "index", name), bytes.subarray(1));
    const planned = await planRepair(context, { ...local(), what: "index" });
    expect(planned.plan).toMatchObject({ needed: true, unreadableIndexes: [name] });
    expect(await readdir(join(repo, "index"))).toEqual([name]);
    expect(await planned.execute()).toEqual({ writtenIndexes: 1, removedIndexes: 1 });
    await expect(planned.execute()).rejects.toThrow(
      expect.objectContaining({ code: "repository.repair_plan_stale" }),
    );
    const checked = await checkRepository(context, { ...local(), readData: true });
    expect(checked.findings).toEqual([]);
    const log = await readFile(join(folder, "state", "shop", "audit.jsonl"), "utf8");
    expect(log.match(/"action":"repair"/g)).toHaveLength(3);
  });

  test.for(["packs", "snapshots"] as const)(
    "of %s has nothing to do where all is well",
    async (what) => {
      const { plan } = await planRepair(context, { ...local(), what });
      expect(plan.needed).toBe(false);
    },
  );

  test("of packs that are not there names them", async () => {
    const ids = ["ab".repeat(32)];
    await expect(planRepair(context, { ...local(), what: "packs", ids })).rejects.toThrow(
      expect.objectContaining({ code: "repository.pack_not_found" }),
    );
  });

  test("planned before somebody else wrote is refused, and changes nothing", async () => {
    const repo = join(folder, "repo");
    const [name = ""] = await readdir(join(repo, "index"));
    await writeFile(join(repo, "index", "00".repeat(32)), "damaged");
    const planned = await planRepair(context, { ...local(), what: "index" });
    await writeFile(join(repo, "index", "01".repeat(32)), "damaged");
    await expect(planned.execute()).rejects.toThrow(
      expect.objectContaining({ code: "repository.repair_plan_stale" }),
    );
    expect((await readdir(join(repo, "index"))).toSorted()).toEqual(
      ["00".repeat(32), "01".repeat(32), name].toSorted(),
    );
    expect(await readdir(join(repo, "locks"))).toEqual([]);
  });
});
