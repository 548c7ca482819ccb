import { chmod, lutimes, mkdir, symlink, utimes } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  codeOf,
  createTemporaryFolder,
  listKeys,
  patternBytes,
} from "../../src/objectstore/testing/index.ts";
import { createMemoryStore } from "../../src/objectstore/index.ts";
import { systemClock } from "../../src/kernel/index.ts";
import { entriesOf, filesBelow, writeFiles } from "../support/restic-files.ts";
import {
  backUp,
  createOurs,
  expectedFiles,
  openOurs,
  storeAt,
} from "../support/restic-repository.ts";
import { createRestic, NEWEST_RESTIC, OLDEST_RESTIC, RESTIC_VERSIONS } from "../support/restic.ts";

const MIB = 1024 * 1024;
const ENDS: readonly string[] = [OLDEST_RESTIC, NEWEST_RESTIC];
/** No space at its ends: restic takes that off what it reads from a file. */
const OTHER_PASSWORD = "ünïcode \u{1F511} and spaces";

async function writeSample(folder: string): Promise<void> {
  const lines = Array.from({ length: 60_000 }, (_, index) => `${index}\tcompressible ${index % 7}`);
  await writeFiles(folder, {
    "text.copy": lines.join("\n"),
    "bytes.bin": patternBytes(7 * MIB + 5, 3),
    empty: "",
    "zeros.bin": new Uint8Array(3 * MIB),
    "sub/a": "a",
    'sub/b ü "quoted" \\ & <tag> \u2028': "b",
    "sub/line\nbreak": "c",
    "sub/%2F": "a name that looks like one that we escaped",
  });
  for (let index = 0; index < 300; index += 1) {
    await writeFiles(folder, { [`many/file ${index}`]: `content ${index}` });
  }
  await mkdir(join(folder, "empty folder/another"), { recursive: true });
  await symlink("../text.copy", join(folder, "sub/link"));
  await symlink("nowhere", join(folder, "dangling"));
  await chmod(join(folder, "bytes.bin"), 0o751);
  await utimes(join(folder, "bytes.bin"), 1_234_567_890.5, 1_234_567_890.5);
  await lutimes(join(folder, "dangling"), 1_000_000_000, 1_000_000_000);
}

describe.for(RESTIC_VERSIONS)("ours on a repository of restic %s", (version) => {
  // Compression is decided by the writer, so the newest and the oldest stand for all.
  test.for(ENDS.includes(version) ? ["auto", "off", "max"] : ["auto"])(
    "reads every snapshot byte for byte, compression %s",
    async (compression) => {
      await using folder = await createTemporaryFolder();
      const [repository, source] = [join(folder.path, "repository"), join(folder.path, "source")];
      await using restic = await createRestic(version, repository, "theirs");
      await restic.run(["init", "--repository-version", "2"]);
      await writeSample(source);
      const options = { cwd: source };
      await restic.run(["backup", ".", "--compression", compression], options);
      const first = await filesBelow(source);
      await writeFiles(source, { "sub/a": "changed", "new/one": patternBytes(MIB, 9) });
      // The second one has the first as its parent and refers to trees and blobs of both.
      await restic.run(["backup", ".", "--compression", compression], options);
      const second = await filesBelow(source);

      const ours = await openOurs(storeAt(repository), "theirs");
      const reader = await ours.acquireReader();
      const snapshots = await ours.snapshots();
      expect(snapshots).toHaveLength(2);
      expect(snapshots[1]?.parent).toBe(snapshots[0]?.id);
      const read = [];
      for (const snapshot of snapshots) {
        read.push(await entriesOf(reader, reader.entries(snapshot)));
      }
      expect(read).toEqual([first, second]);
      expect(reader.conflicts).toEqual([]);
      expect((await ours.check({ readData: true })).findings).toEqual([]);

      const latest = await ours.resolveSnapshot("latest");
      const bytes = await reader.find(latest, ["bytes.bin"]);
      expect(bytes.mode & 0o777).toBe(0o751);
      expect(bytes.modifiedAt.getTime()).toBe(1_234_567_890_500);
      expect(await codeOf(() => reader.find(latest, ["sub", "nothing"]))).toBe(
        "repository.path_not_found",
      );
      expect(await listKeys(storeAt(repository), "locks/")).toEqual([]);
    },
  );

  test("opens with each of several keys, and writes with any", async () => {
    await using folder = await createTemporaryFolder();
    await using restic = await createRestic(version, folder.path, "first");
    await restic.run(["init"]);
    await using second = await restic.withPassword(OTHER_PASSWORD);
    await restic.run(["key", "add", "--new-password-file", second.passwordFile]);

    const files = [{ path: ["a"], content: patternBytes(100_000) }];
    const keys = [];
    for (const password of ["first", OTHER_PASSWORD]) {
      const ours = await openOurs(storeAt(folder.path), password);
      await backUp(ours, files);
      keys.push({ id: ours.id, keyId: ours.keyId, derived: ours.deriveKey("label") });
    }
    expect(keys[0]?.id).toBe(keys[1]?.id);
    expect(keys[0]?.keyId).not.toBe(keys[1]?.keyId);
    expect(keys[0]?.derived).toEqual(keys[1]?.derived);
    await second.run(["check", "--read-data"]);
    await using out = await createTemporaryFolder();
    await second.run(["restore", "latest", "--target", out.path]);
    expect(await filesBelow(out.path)).toEqual(await expectedFiles(files));
    expect(await codeOf(() => openOurs(storeAt(folder.path), "third"))).toBe(
      "repository.wrong_password",
    );
  });

  test("refuses a repository of format version 1", async () => {
    await using folder = await createTemporaryFolder();
    await using restic = await createRestic(version, folder.path, "theirs");
    await restic.run(["init", "--repository-version", "1"]);
    const code = await codeOf(() => openOurs(storeAt(folder.path), "theirs"));
    expect(code).toBe("repository.incompatible");
  });
});

describe("opening what is no repository, or is one already", () => {
  test("says not_found for an empty folder, a missing one and one of other files", async () => {
    await using folder = await createTemporaryFolder();
    await writeFiles(folder.path, { "other/readme.txt": "nothing of ours" });
    for (const place of [join(folder.path, "missing"), join(folder.path, "other")]) {
      expect(await codeOf(() => openOurs(storeAt(place)))).toBe("repository.not_found");
    }
    expect([...(await filesBelow(folder.path)).keys()]).toEqual(["other", "other/readme.txt"]);
  });

  test("says already_exists and leaves the repository as it was", async () => {
    const store = createMemoryStore({ clock: systemClock });
    await createOurs(store);
    const before = await listKeys(store, "");
    expect(await codeOf(() => createOurs(store, "other"))).toBe("repository.already_exists");
    expect(await listKeys(store, "")).toEqual(before);
  });
});
