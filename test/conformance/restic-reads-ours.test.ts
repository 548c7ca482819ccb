import { createHash } from "node:crypto";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Bytes } from "../../src/kernel/index.ts";
import { createTemporaryFolder, patternBytes } from "../../src/objectstore/testing/index.ts";
import { entriesOf, filesBelow, withoutShards } from "../support/restic-files.ts";
import {
  backUp,
  createOurs,
  expectedFiles,
  openOurs,
  PASSWORD,
  storeAt,
} from "../support/restic-repository.ts";
import type { TestFile } from "../support/restic-repository.ts";
import { createRestic, NEWER_RESTIC_VERSIONS, RESTIC_VERSIONS } from "../support/restic.ts";

const MIB = 1024 * 1024;

/** COPY text as tables have it: compresses well, and cuts at many places. */
async function* tableText(rows: number): AsyncIterable<Bytes> {
  for (let row = 0; row < rows; row += 1_000) {
    const lines = Array.from({ length: Math.min(1_000, rows - row) }, (_, index) => {
      const id = row + index;
      return `${id}\tcustomer ${id % 977}\t2026-10-${(id % 28) + 1} 12:00:00+00\t\\N\t${id * 7919}\n`;
    });
    yield Buffer.from(lines.join(""));
  }
}

/** Cut into pieces of odd sizes: where the producer cuts must not matter. */
async function* inPieces(bytes: Bytes): AsyncIterable<Bytes> {
  let size = 1;
  for (let offset = 0; offset < bytes.byteLength; offset += size, size = (size * 7) % 300_007) {
    yield bytes.subarray(offset, offset + size);
  }
}

function sampleFiles(): TestFile[] {
  const many = Array.from({ length: 3_000 }, (_, index) => ({
    path: [
      "buckets",
      "huge folder",
      `object-${createHash("sha1").update(`${index}`).digest("hex")}`,
    ],
    content: patternBytes(index % 300, index + 1),
  }));
  const deep = Array.from({ length: 40 }, (_, index) => `level ${index}`);
  return [
    { path: ["manifest.json"], content: Buffer.from('{"format":1}\n') },
    { path: ["empty"], content: new Uint8Array(), metadata: { mode: 0o640 } },
    {
      path: ["database", "tables", "public.orders.copy"],
      content: () => tableText(200_000),
      metadata: { kind: "small-table" },
    },
    {
      path: ["database", "tables", "public.parts.copy"],
      content: () => tableText(50_000),
      metadata: { kind: "table" },
    },
    { path: ["buckets", "incompressible"], content: () => inPieces(patternBytes(9 * MIB + 13, 5)) },
    { path: ["buckets", "the same again"], content: () => inPieces(patternBytes(9 * MIB + 13, 5)) },
    { path: ["buckets", "zeros"], content: new Uint8Array(20 * MIB) },
    { path: ["buckets", "run.sh"], content: Buffer.from("#!/bin/sh\n"), metadata: { mode: 0o755 } },
    {
      path: ["buckets", "marked"],
      content: Buffer.from("x"),
      metadata: {
        extendedAttributes: { "user.plain": Buffer.from("value"), "user.bytes": patternBytes(300) },
      },
    },
    { path: [...deep, "leaf"], content: Buffer.from("deep") },
    ...many,
  ];
}

describe.for(RESTIC_VERSIONS)("restic %s on a repository of ours", (version) => {
  test("checks it clean and restores it byte for byte", async () => {
    await using folder = await createTemporaryFolder();
    const store = storeAt(join(folder.path, "repository"));
    const repository = await createOurs(store);
    const files = sampleFiles();
    const summary = await backUp(repository, files);
    await using restic = await createRestic(version, join(folder.path, "repository"), PASSWORD);
    await restic.run(["check", "--read-data"]);

    await restic.run(["restore", summary.id, "--target", join(folder.path, "out")]);
    const expected = await expectedFiles(files);
    expect(expected.size).toBeGreaterThan(3_000);
    const restored = await filesBelow(join(folder.path, "out"));
    expect(withoutShards(restored)).toEqual(expected);
    // The huge folder really is in pieces, or this test says nothing of them.
    expect([...restored.keys()].some((path) => path.includes("/%-"))).toBe(true);

    const reader = await (await openOurs(store)).acquireReader();
    const snapshot = await repository.resolveSnapshot("latest");
    expect(await entriesOf(reader, reader.entries(snapshot))).toEqual(expected);
  });

  test("agrees with us in snapshots, ls, find, dump and stats", async () => {
    await using folder = await createTemporaryFolder();
    const repository = await createOurs(storeAt(folder.path));
    const files = sampleFiles().slice(0, 12);
    const summary = await backUp(repository, files);
    await using restic = await createRestic(version, folder.path, PASSWORD);

    expect(await restic.json(["snapshots"])).toEqual([
      expect.objectContaining({
        id: summary.id,
        tree: summary.tree,
        time: "2026-11-01T10:00:00Z",
        paths: ["/app"],
        tags: ["plan=nightly"],
        username: "tester",
      }),
    ]);
    const snapshot = await repository.resolveSnapshot(summary.id);
    const reader = await repository.acquireReader();
    const ours = new Map<string, unknown>();
    for await (const entry of reader.entries(snapshot)) {
      const path = `/${entry.path.map((name) => Buffer.from(name).toString()).join("/")}`;
      const size = entry.type === "file" ? { size: entry.sizeBytes } : {};
      const mode = entry.type === "dir" ? 0o20000000000 + entry.mode : entry.mode;
      ours.set(path, { type: entry.type, ...size, mode, mtime: entry.modifiedAt.getTime() });
    }
    expect(await listedBy(restic, summary.id)).toEqual(ours);

    const { stdoutBytes } = await restic.run(["dump", summary.id, "/buckets/incompressible"]);
    expect(Buffer.compare(stdoutBytes, patternBytes(9 * MIB + 13, 5))).toBe(0);
    const found = await restic.run(["find", "--json", "run.sh"]);
    expect(found.stdout).toContain("/buckets/run.sh");
    const total = [...(await expectedFiles(files)).values()]
      .filter((file) => file.startsWith("file"))
      .reduce((sum, file) => sum + Number(file.split(" ")[1]), 0);
    expect(await restic.json(["stats"])).toMatchObject({ total_size: total });
  });

  test("keeps extended attributes, as a backup of what it restored shows", async () => {
    await using folder = await createTemporaryFolder();
    const repository = await createOurs(storeAt(join(folder.path, "a")));
    const attributes = { "user.plain": Buffer.from("value"), "user.bytes": patternBytes(200) };
    const marked = { path: ["marked"], content: Buffer.from("x") };
    await backUp(repository, [{ ...marked, metadata: { extendedAttributes: attributes } }]);
    await using restic = await createRestic(version, join(folder.path, "a"), PASSWORD);
    await restic.run(["restore", "latest", "--target", join(folder.path, "out")]);
    await restic.run(["backup", "."], { cwd: join(folder.path, "out") });

    const reader = await repository.acquireReader();
    const snapshot = await repository.resolveSnapshot("latest");
    const entry = await reader.find(snapshot, ["marked"]);
    const kept = Object.entries(entry.extendedAttributes).map(([name, value]) => [
      name,
      Buffer.from(value).toString("hex"),
    ]);
    expect(Object.fromEntries(kept)).toEqual({
      "user.plain": Buffer.from("value").toString("hex"),
      "user.bytes": Buffer.from(patternBytes(200)).toString("hex"),
    });
  });

  test("backs up into it, tags, forgets and prunes; ours reads and checks it afterwards", async () => {
    await using folder = await createTemporaryFolder();
    const store = storeAt(join(folder.path, "repository"));
    const repository = await createOurs(store);
    const kept: TestFile[] = [
      { path: ["kept"], content: () => tableText(20_000), metadata: { kind: "table" } },
    ];
    const dropped = { path: ["dropped"], content: patternBytes(5 * MIB, 77) };
    const first = await backUp(repository, [...kept, dropped]);
    const second = await backUp(repository, kept, new Date("2026-11-02T10:00:00Z"));
    expect(second.blobsNew).toBeLessThanOrEqual(1);

    await using restic = await createRestic(version, join(folder.path, "repository"), PASSWORD);
    await restic.run(["backup", "--stdin", "--stdin-filename", "theirs"], {
      input: patternBytes(3 * MIB, 8),
    });
    await restic.run(["tag", "--add", "seen", second.id]);
    await restic.run(["forget", "--prune", first.id]);
    await restic.run(["check", "--read-data"]);

    const again = await openOurs(store);
    const reader = await again.acquireReader();
    const snapshots = await again.snapshots();
    expect(snapshots.map(({ tags }) => tags)).toEqual([["plan=nightly", "seen"], []]);
    const [ours, theirs] = snapshots;
    if (ours === undefined || theirs === undefined) throw new Error("two snapshots");
    expect(await entriesOf(reader, reader.entries(ours))).toEqual(await expectedFiles(kept));
    const theirFile = [{ path: ["theirs"], content: patternBytes(3 * MIB, 8) }];
    const found = await entriesOf(reader, reader.entries(theirs));
    expect(found).toEqual(await expectedFiles(theirFile));
    expect((await again.check({ readData: true })).findings).toEqual([]);
    await backUp(again, [...kept, dropped], new Date("2026-11-03T10:00:00Z"));
    await restic.run(["check", "--read-data"]);
  });
});

describe.for(NEWER_RESTIC_VERSIONS)("restic %s rewriting a snapshot of ours", (version) => {
  test("takes our trees, leaves out what it is told, and ours reads the result", async () => {
    await using folder = await createTemporaryFolder();
    const repository = await createOurs(storeAt(join(folder.path, "repository")));
    const files = sampleFiles();
    await backUp(repository, files);
    await using restic = await createRestic(version, join(folder.path, "repository"), PASSWORD);
    await restic.run(["rewrite", "--forget", "--exclude", "zeros", "--exclude", "leaf"]);
    await restic.run(["check", "--read-data"]);

    const reader = await repository.acquireReader();
    const snapshot = await repository.resolveSnapshot("latest");
    const expected = await expectedFiles(files);
    for (const path of expected.keys()) {
      if (path.endsWith("/zeros") || path.endsWith("/leaf")) expected.delete(path);
    }
    expect(await entriesOf(reader, reader.entries(snapshot))).toEqual(expected);
  });
});

async function listedBy(
  restic: { jsonLines: (arguments_: readonly string[]) => Promise<readonly unknown[]> },
  id: string,
): Promise<Map<string, unknown>> {
  const listed = new Map<string, unknown>();
  for (const line of await restic.jsonLines(["ls", id])) {
    if (typeof line !== "object" || line === null || !("path" in line)) continue;
    const { path, type, size, mode, mtime } = line as Record<string, unknown>;
    const sized = type === "file" ? { size: size ?? 0 } : {};
    listed.set(String(path), { type, ...sized, mode, mtime: new Date(String(mtime)).getTime() });
  }
  return listed;
}
