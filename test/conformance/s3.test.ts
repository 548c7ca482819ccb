import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  codeOf,
  createTemporaryFolder,
  listKeys,
  patternBytes,
} from "../../src/objectstore/testing/index.ts";
import { startCeph } from "../support/ceph.ts";
import type { Ceph } from "../support/ceph.ts";
import { entriesOf, filesBelow, withoutShards } from "../support/restic-files.ts";
import {
  backUp,
  createOurs,
  expectedFiles,
  openOurs,
  PASSWORD,
} from "../support/restic-repository.ts";
import type { TestFile } from "../support/restic-repository.ts";
import { createRestic, OLDEST_RESTIC, RESTIC_VERSIONS } from "../support/restic.ts";
import { startS3Proxy } from "../support/s3-proxy.ts";
import { openS3 } from "../support/s3-store.ts";

const MIB = 1024 * 1024;

let ceph: Ceph;

beforeAll(async () => {
  ceph = await startCeph();
});
afterAll(() => ceph[Symbol.asyncDispose]());

function resticAt(version: string, location: string, user = ceph.owner) {
  return createRestic(version, location, PASSWORD, {
    AWS_ACCESS_KEY_ID: user.accessKey,
    AWS_SECRET_ACCESS_KEY: user.secretKey,
  });
}

const FILES: readonly TestFile[] = [
  { path: ["manifest.json"], content: Buffer.from('{"format":1}\n') },
  { path: ["buckets", "large"], content: patternBytes(20 * MIB + 13, 5) },
  { path: ["buckets", "empty"], content: new Uint8Array() },
  ...Array.from({ length: 300 }, (_, index) => ({
    path: ["buckets", "many", `object-${index}`],
    content: patternBytes(index * 7, index + 1),
  })),
];

describe.for(RESTIC_VERSIONS)("restic %s on a repository of ours in a bucket", (version) => {
  test("checks it clean, restores it byte for byte, backs up beside it and prunes", async () => {
    const location = `s3:${ceph.endpoint}/${await ceph.createBucket()}/some/prefix`;
    const store = await openS3(location, { user: ceph.owner });
    const repository = await createOurs(store);
    const summary = await backUp(repository, FILES);
    await using restic = await resticAt(version, location);
    await restic.run(["check", "--read-data"]);
    await using folder = await createTemporaryFolder();
    await restic.run(["restore", summary.id, "--target", join(folder.path, "out")]);
    const expected = await expectedFiles(FILES);
    expect(expected.size).toBeGreaterThan(300);
    expect(withoutShards(await filesBelow(join(folder.path, "out")))).toEqual(expected);

    const theirs = { path: ["theirs"], content: patternBytes(3 * MIB, 8) };
    const input = theirs.content;
    await restic.run(["backup", "--stdin", "--stdin-filename", "theirs"], { input });
    await restic.run(["forget", "--prune", summary.id]);
    const again = await openOurs(await openS3(location, { user: ceph.owner }));
    const reader = await again.acquireReader();
    const found = reader.entries(await again.resolveSnapshot("latest"));
    expect(await entriesOf(reader, found)).toEqual(await expectedFiles([theirs]));
    expect((await again.check({ readData: true })).findings).toEqual([]);
  });
});

describe("a repository that restic made in a bucket", () => {
  test("is read, checked and written by ours", async () => {
    const location = `s3:${ceph.endpoint}/${await ceph.createBucket()}`;
    await using restic = await resticAt(OLDEST_RESTIC, location);
    await restic.run(["init"]);
    const content = patternBytes(2 * MIB, 3);
    await restic.run(["backup", "--stdin", "--stdin-filename", "theirs"], { input: content });
    const ours = await openOurs(await openS3(location, { user: ceph.owner }));
    const reader = await ours.acquireReader();
    const found = reader.entries(await ours.resolveSnapshot("latest"));
    const expected = await expectedFiles([{ path: ["theirs"], content }]);
    expect(await entriesOf(reader, found)).toEqual(expected);
    await backUp(ours, FILES);
    expect((await ours.check({ readData: true })).findings).toEqual([]);
    await restic.run(["check", "--read-data"]);
  });
});

describe("the least rights of a backup", () => {
  test("write, read, list, and remove their own locks, and nothing else", async () => {
    const bucket = await ceph.createBucket({
      allowed: [
        [["s3:ListBucket", "s3:GetBucketVersioning"], ""],
        [["s3:GetObject", "s3:PutObject"], "*"],
        [["s3:DeleteObject"], "locks/*"],
        [["s3:DeleteObject"], "sparekeep/probe/*"],
      ],
    });
    const location = `s3:${ceph.endpoint}/${bucket}`;
    const store = await openS3(location, { user: ceph.guest });
    const repository = await createOurs(store);
    await backUp(repository, FILES);
    await backUp(repository, FILES.slice(0, 2), new Date("2026-11-02T10:00:00Z"));
    expect((await repository.check({ readData: true })).findings).toEqual([]);
    expect(await listKeys(store, "locks/")).toEqual([]);
    expect(await listKeys(store, "sparekeep/probe/")).toEqual([]);
    const [pack = ""] = await listKeys(store, "data/");
    expect(await codeOf(() => store.remove(pack))).toBe("objectstore.denied");
    expect(await codeOf(() => store.remove("config"))).toBe("objectstore.denied");
    await using restic = await resticAt(OLDEST_RESTIC, location, ceph.guest);
    await restic.run(["check"]);
  });
});

describe("two repositories made at once where no condition is heeded", () => {
  test("leave one config, and whoever lost it is told before anything is written", async () => {
    const bucket = await ceph.createBucket();
    const both = Promise.withResolvers<void>();
    let arrived = 0;
    // Both have looked and seen nothing before either writes.
    await using proxy = await startS3Proxy({
      target: ceph.endpoint,
      ignoreConditions: ceph.admin,
      before: async ({ method, path }) => {
        if (method !== "PUT" || !path.includes(`/${bucket}/config`)) return;
        arrived += 1;
        if (arrived === 2) both.resolve();
        await both.promise;
      },
    });
    const location = `s3:${proxy.endpoint}/${bucket}`;
    const stores = [
      await openS3(location, { user: ceph.owner }),
      await openS3(location, { user: ceph.owner }),
    ];
    const passwords = ["first", "second"];
    const made = await Promise.all(
      stores.map((store, index) => codeOf(() => createOurs(store, passwords[index]))),
    );
    expect(made).toEqual(["no error", "no error"]);
    const opened = await Promise.all(
      stores.map((store, index) => codeOf(() => openOurs(store, passwords[index]))),
    );
    expect(opened.toSorted()).toEqual(["no error", "repository.config_damaged"]);
  });
});
