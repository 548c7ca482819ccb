import { randomBytes } from "node:crypto";
import { HeadObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { probeStore } from "../../src/objectstore/index.ts";
import {
  codeOf,
  describeObjectLock,
  describeObjectStore,
  describeObjectVersions,
  listKeys,
} from "../../src/objectstore/testing/index.ts";
import type { StoreUnderTest } from "../../src/objectstore/testing/index.ts";
import { BULK_CLASS, startCeph } from "../support/ceph.ts";
import type { Ceph, CephUser } from "../support/ceph.ts";
import { startS3Proxy } from "../support/s3-proxy.ts";
import { openS3 } from "../support/s3-store.ts";

let ceph: Ceph;
let versionedBucket: string;
let lockBucket: string;
let counter = 0;

beforeAll(async () => {
  ceph = await startCeph();
  versionedBucket = await ceph.createBucket({ versioned: true });
  lockBucket = await ceph.createBucket({ locks: true });
});
afterAll(() => ceph[Symbol.asyncDispose]());

/** A prefix of its own for each case. */
async function below(bucket: string): Promise<StoreUnderTest> {
  counter += 1;
  const store = await openS3(`s3:${ceph.endpoint}/${bucket}/${counter}`, { user: ceph.owner });
  return { store, [Symbol.asyncDispose]: async () => {} };
}

describeObjectVersions("s3 at Ceph", () => below(versionedBucket));
describeObjectLock("s3 at Ceph", () => below(lockBucket));
describeObjectStore("s3 at Ceph, in a bucket with locks", () => below(lockBucket));

function openBucket(bucket: string, user: CephUser = ceph.owner) {
  return openS3(`s3:${ceph.endpoint}/${bucket}/facts`, { user });
}

describe("what a bucket can do", () => {
  test("is found out when it is opened: neither, versions, both", async () => {
    const plain = await openBucket(await ceph.createBucket());
    expect([plain.versions, plain.lock]).toEqual([undefined, undefined]);
    const versioned = await openBucket(versionedBucket);
    expect(versioned.versions).toBeDefined();
    expect(versioned.lock).toBeUndefined();
    const locking = await openBucket(lockBucket);
    expect(locking.versions).toBeDefined();
    expect(locking.lock).toBeDefined();
  });

  test("stays open where the credentials may not ask", async () => {
    const bucket = await ceph.createBucket({
      locks: true,
      denied: ["s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"],
    });
    const store = await openBucket(bucket, ceph.guest);
    expect([store.versions, store.lock]).toEqual([undefined, undefined]);
    await store.put("a", [Buffer.from("x")], { ifAbsent: true });
    expect(await probeStore(store, randomBytes)).toEqual({
      // Ceph 16 heeds no condition in a bucket with versions, which only a probe finds out.
      conditionalWrites: "ignored",
      lock: "unknown",
      lockBypass: "unknown",
      versioned: "unknown",
    });
  });
});

describe("the probe", () => {
  test("sees conditional writes honoured, and leaves nothing", async () => {
    const store = await openBucket(await ceph.createBucket());
    expect(await probeStore(store, randomBytes)).toEqual({
      conditionalWrites: "honoured",
      lock: "none",
      lockBypass: "unknown",
      versioned: false,
    });
    expect(await listKeys(store, "")).toEqual([]);
  });

  test("sees a server that ignores conditions", async () => {
    await using proxy = await startS3Proxy({
      target: ceph.endpoint,
      ignoreConditions: ceph.admin,
    });
    const bucket = await ceph.createBucket();
    const store = await openS3(`s3:${proxy.endpoint}/${bucket}`, { user: ceph.owner });
    const facts = await probeStore(store, randomBytes);
    expect(facts.conditionalWrites).toBe("ignored");
    expect(await listKeys(store, "")).toEqual([]);
  });

  test("sees a lock enforced, and who may bypass it", async () => {
    const store = await openBucket(lockBucket);
    const facts = await probeStore(store, randomBytes);
    expect(facts).toMatchObject({ lock: "enforced", lockBypass: true, versioned: true });
    const bucket = await ceph.createBucket({
      locks: true,
      denied: ["s3:BypassGovernanceRetention"],
    });
    const without = await openBucket(bucket, ceph.guest);
    expect(await probeStore(without, randomBytes)).toMatchObject({
      lock: "enforced",
      lockBypass: false,
    });
  });

  test("is asked once in the life of a store, also by many writers at once", async () => {
    await using proxy = await startS3Proxy({ target: ceph.endpoint });
    const bucket = await ceph.createBucket();
    const store = await openS3(`s3:${proxy.endpoint}/${bucket}`, { user: ceph.owner });
    const keys = ["a", "b", "c", "d"];
    const body = [Buffer.from("x")];
    await Promise.all(keys.map((key) => store.put(key, body, { ifAbsent: true })));
    await store.put("e", body, { ifAbsent: true });
    const probes = proxy.seen.filter(({ path }) => path.includes("/sparekeep/probe/"));
    expect(probes.map(({ method }) => method)).toEqual(["PUT", "PUT", "DELETE"]);
  });

  test("bears with credentials that may not remove, and so does every write", async () => {
    const bucket = await ceph.createBucket({ denied: ["s3:DeleteObject"] });
    const store = await openBucket(bucket, ceph.guest);
    await store.put("a", [Buffer.from("x")], { ifAbsent: true });
    expect(await codeOf(() => store.put("a", [], { ifAbsent: true }))).toBe("objectstore.exists");
    expect(await codeOf(() => store.remove("a"))).toBe("objectstore.denied");
    expect(await listKeys(store, "sparekeep/")).toHaveLength(1);
  });

  test("that may not write leaves a store that looks first", async () => {
    await using proxy = await startS3Proxy({
      target: ceph.endpoint,
      decide: ({ path }) =>
        path.includes("/sparekeep/probe/") ? { status: 403, code: "AccessDenied" } : undefined,
    });
    const bucket = await ceph.createBucket();
    const store = await openS3(`s3:${proxy.endpoint}/${bucket}`, { user: ceph.owner });
    await store.put("a", [Buffer.from("x")], { ifAbsent: true });
    expect(await codeOf(() => store.put("a", [], { ifAbsent: true }))).toBe("objectstore.exists");
    expect(await probeStore(store, randomBytes)).toMatchObject({ conditionalWrites: "unknown" });
  });
});

describe("storage class and encryption", () => {
  test("only what may lie in a cheaper class does", async () => {
    const bucket = await ceph.createBucket();
    await using proxy = await startS3Proxy({ target: ceph.endpoint });
    const store = await openS3(`s3:${proxy.endpoint}/${bucket}`, {
      user: ceph.owner,
      s3: { storageClass: BULK_CLASS },
    });
    await store.put("data/aa/pack", [Buffer.from("bulk")], { tier: "bulk", ifAbsent: true });
    await store.put("index/one", [Buffer.from("hot")], { ifAbsent: true });
    const asked = proxy.seen.filter(({ method }) => method === "PUT");
    const classes = asked.map(({ path, headers }) => [
      path.split("?")[0]?.split("/").slice(2, 3)[0],
      headers["x-amz-storage-class"],
    ]);
    expect(classes).toEqual([
      ["sparekeep", undefined],
      ["sparekeep", undefined],
      ["data", BULK_CLASS],
      ["index", undefined],
    ]);
    const classAt = async (key: string): Promise<string | undefined> => {
      const command = new HeadObjectCommand({ Bucket: bucket, Key: key });
      return (await ceph.admin.send(command)).StorageClass;
    };
    expect(await classAt("data/aa/pack")).toBe(BULK_CLASS);
    // STANDARD is not said.
    expect(await classAt("index/one")).toBeUndefined();
  });

  test("a class that the server does not have is told", async () => {
    const bucket = await ceph.createBucket();
    const store = await openS3(`s3:${ceph.endpoint}/${bucket}`, {
      user: ceph.owner,
      s3: { storageClass: "NO_SUCH" },
    });
    const put = (): Promise<void> => store.put("a", [Buffer.from("x")], { tier: "bulk" });
    expect(await codeOf(put)).toBe("objectstore.storage_class");
  });

  test.for(["GLACIER", "DEEP_ARCHIVE"])("%s is refused before anything is asked", async (name) => {
    const open = () =>
      openS3(`s3:${ceph.endpoint}/never-asked`, { user: ceph.owner, s3: { storageClass: name } });
    expect(await codeOf(open)).toBe("objectstore.storage_class");
  });

  test("encryption is asked for with every write", async () => {
    await using proxy = await startS3Proxy({
      target: ceph.endpoint,
      // Ceph has no key service here.
      decide: ({ method }) =>
        method === "PUT" ? { status: 400, code: "InvalidRequest" } : undefined,
    });
    const bucket = await ceph.createBucket();
    const open = (encryption: { kind: "aes256" } | { kind: "kms"; keyId: string }) =>
      openS3(`s3:${proxy.endpoint}/${bucket}`, { user: ceph.owner, s3: { encryption } });
    const put = (store: Awaited<ReturnType<typeof open>>) => codeOf(() => store.put("a", []));
    await put(await open({ kind: "aes256" }));
    await put(await open({ kind: "kms", keyId: "key-1" }));
    const puts = proxy.seen.filter(({ method }) => method === "PUT");
    const asked = puts.map(({ headers }) => [
      headers["x-amz-server-side-encryption"],
      headers["x-amz-server-side-encryption-aws-kms-key-id"],
    ]);
    expect(asked).toEqual([
      ["AES256", undefined],
      ["aws:kms", "key-1"],
    ]);
  });
});

describe("a listing", () => {
  test("leaves out what is somebody else's, however it is called", async () => {
    const bucket = await ceph.createBucket({ versioned: true });
    const foreign = [
      "facts/",
      "facts/data/",
      "facts/a b",
      "facts/ü",
      "facts/x\u0001y",
      "facts/a+b",
    ];
    for (const key of [...foreign, "facts/%61", "facts/a//b", "factsheet"]) {
      await ceph.admin.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: "x" }));
    }
    const store = await openBucket(bucket);
    await store.put("data/ours", [Buffer.from("x")]);
    expect(await listKeys(store, "")).toEqual(["data/ours"]);
    const keys: string[] = [];
    for await (const { key } of store.versions?.list("") ?? []) keys.push(key);
    expect(keys).toEqual(["data/ours"]);
  });

  test("goes over its pages, of objects and of versions", async () => {
    const { store } = await below(versionedBucket);
    const keys = Array.from({ length: 1_030 }, (_, index) => `data/k${index}`);
    await Promise.all(keys.map((key) => store.put(key, [Buffer.from("x")])));
    // Twice the same key, where a page of 1,000 versions ends.
    const boundary = [...keys].sort()[999] ?? "";
    for (let round = 0; round < 3; round += 1) await store.put(boundary, [Buffer.from("again")]);
    expect(await listKeys(store, "")).toEqual([...keys].sort());
    const seen: string[] = [];
    const newest: string[] = [];
    for await (const version of store.versions?.list("") ?? []) {
      seen.push(version.key);
      if (version.key === boundary) newest.push(`${version.newest} ${version.sizeBytes}`);
    }
    expect(seen).toHaveLength(keys.length + 3);
    expect(newest).toEqual(["true 5", "false 5", "false 5", "false 1"]);
  });
});
