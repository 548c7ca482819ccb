import { describe, expect, test } from "vitest";
import { Secret, systemClock } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import type { ObjectStore } from "../objectstore/index.ts";
import { createMemoryStore, objectStoreError } from "../objectstore/index.ts";
import { codeOf, listKeys } from "../objectstore/testing/index.ts";
import {
  createInlineSealer,
  createRepository,
  openRepository,
  proofsOf,
} from "../repository/index.ts";
import type { Repository, SnapshotSummary } from "../repository/index.ts";
import { hasRoomForRecords, provePoint } from "./prove.ts";
import type { ProvenPoint } from "./prove.ts";
import { readBack } from "./read-back.ts";
import { testContext } from "./testing/context.ts";

/** What a run says of its new point, and what a record says of it when the run has ended. */

const context = testContext({
  stateDirectory: "/nonexistent",
  clock: { ...systemClock, sleep: () => Promise.resolve() },
});
const password = new Secret("correct horse battery staple");
const FILES = new Map([["rows", 4]]);

interface Planted {
  readonly store: ObjectStore;
  readonly repository: Repository;
  readonly summary: SnapshotSummary;
}

async function* rows(): AsyncIterable<Bytes> {
  yield Buffer.from("1\t2\n");
}

async function plantPoint(): Promise<Planted> {
  const store = createMemoryStore({ clock: systemClock });
  const { hostname, actor: username, pid, keyCost: cost = { N: 1024, r: 8, p: 1 } } = context;
  const repository = await createRepository(
    { ...context, store, createSealer: createInlineSealer },
    { password, hostname, username, cost },
  );
  await using writer = await repository.acquireWriter({ hostname, username, pid });
  await writer.saveFile(["rows"], rows(), { kind: "file", modifiedAt: new Date(0) });
  const tags = ["plan=nightly"];
  const summary = await writer.commit({ time: new Date(0), paths: ["/x"], tags });
  return { store, repository, summary };
}

function prove(
  { repository, summary }: Planted,
  expected: ReadonlyMap<string, number>,
  records = true,
): Promise<ProvenPoint> {
  return provePoint(context, { repository, snapshot: summary.id, records }, () =>
    readBack(repository, summary, Buffer.from("{}"), expected, context.signal),
  );
}

async function stateOf({ store, summary }: Planted): Promise<string> {
  const proofs = await proofsOf(await openRepository({ ...context, store }, { password }));
  return proofs.get(summary.id)?.state ?? "stored";
}

const seen = () => Promise.resolve({ files: 1, sizeBytes: 4 });

test("a point that reads back is verified, and the record is durable when the run says so", async () => {
  const planted = await plantPoint();
  const point = { repository: planted.repository, snapshot: planted.summary.id, records: true };
  expect(await provePoint(context, point, seen)).toEqual({
    state: "verified",
    readBack: await seen(),
  });
  expect(await stateOf(planted)).toBe("verified");
});

test("one that differs is suspect before the run fails", async () => {
  const planted = await plantPoint();
  const code = await codeOf(() => prove(planted, new Map([["rows", 5]])));
  expect(code).toBe("operation.read_back_differs");
  expect(await stateOf(planted)).toBe("suspect");
});

test("one whose tree is gone is suspect too", async () => {
  const planted = await plantPoint();
  for (const key of await listKeys(planted.store, "data/")) await planted.store.remove(key);
  const code = await codeOf(() => prove(planted, FILES));
  expect(code).toBe("repository.blob_not_found");
  expect(await stateOf(planted)).toBe("suspect");
});

describe("a store that", () => {
  const plantedOn = async (
    change: (inner: ObjectStore) => Partial<ObjectStore>,
  ): Promise<Planted> => {
    const planted = await plantPoint();
    const store = { ...planted.store, ...change(planted.store) };
    return { ...planted, repository: await openRepository({ ...context, store }, { password }) };
  };
  const refusing = (inner: ObjectStore): Partial<ObjectStore> => ({
    put: async (key, body, options) => {
      if (key.startsWith("sparekeep/")) throw objectStoreError("denied", { message: "no folder" });
      await inner.put(key, body, options);
    },
  });

  test("is away proves nothing: the point stays stored", async () => {
    const away = () => Promise.reject(objectStoreError("unavailable", { message: "away" }));
    const planted = await plantedOn(() => ({ getRange: away }));
    expect(await codeOf(() => prove(planted, FILES))).toBe("objectstore.unavailable");
    expect(await stateOf(planted)).toBe("stored");
  });

  test("takes no record makes no success", async () => {
    const { repository, summary } = await plantedOn(refusing);
    const point = { repository, snapshot: summary.id, records: true };
    expect(await codeOf(() => provePoint(context, point, seen))).toBe("objectstore.denied");
  });

  test("takes no record of a doubt is told beside the doubt", async () => {
    const planted = await plantedOn(refusing);
    await expect(prove(planted, new Map())).rejects.toMatchObject({
      code: "operation.read_back_differs",
      message: expect.stringMatching(/that was not stored; and it could not be marked as suspect$/),
    });
  });

  test("has no room for records leaves it stored, and the run says why", async () => {
    const { repository, summary, store } = await plantedOn(refusing);
    const point = { repository, snapshot: summary.id, records: false };
    expect(await provePoint(context, point, seen)).toMatchObject({
      state: "stored",
      stateReason: expect.stringContaining("beside"),
    });
    expect(await listKeys(store, "sparekeep/proofs/")).toEqual([]);
  });
});

test.for([
  [true, { url: "/mnt/backup" }],
  [true, { url: "s3://bucket/prefix" }],
  [false, { url: "rest:https://host/" }],
  [true, { url: "rest:https://host/", beside: "/mnt/beside" }],
] as const)("%s: %o has room for records", ([expected, destination]) => {
  expect(hasRoomForRecords(destination)).toBe(expected);
});
