import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asSnapshotId } from "../kernel/index.ts";
import { formatSnapshot, parseSnapshot } from "./snapshot-file.ts";
import { createFixture, flipByte, overwrite, saveFiles } from "./testing/fixtures.ts";

const id = asSnapshotId("cd".repeat(32));

describe("snapshots", () => {
  test("are listed oldest first, and found by latest, id and prefix", async () => {
    const { repository } = await createFixture();
    const one = await saveFiles(repository, { a: "1" });
    const two = await saveFiles(repository, { a: "2" });
    const all = await repository.snapshots();
    expect(all.map((snapshot) => snapshot.id).sort()).toEqual([one.id, two.id].sort());
    expect((await repository.resolveSnapshot("latest")).id).toBe(all.at(-1)?.id);
    expect(await repository.resolveSnapshot(one.id.slice(0, 12))).toEqual(one);
    expect(one).toMatchObject({
      hostname: "db-1",
      username: "backup",
      paths: ["/db"],
      tags: ["nightly"],
      time: new Date("2026-03-04T05:06:07.123Z"),
    });
    expect(one.programVersion).toMatch(/^sparekeep \d+\.\d+\.\d+$/);
  });

  test.for(["latest", "abc", "LATEST", "", "../config", "g".repeat(64)])(
    "%j of an empty repository is not found",
    async (reference) => {
      const { repository } = await createFixture();
      await expect(repository.resolveSnapshot(reference)).rejects.toThrow(
        expect.objectContaining({ code: "repository.snapshot_not_found" }),
      );
    },
  );

  test("with a common prefix are ambiguous", async () => {
    const { repository } = await createFixture();
    const digits = new Set<string>();
    let common: string | undefined;
    // At the latest the seventeenth id begins with a digit that was there before.
    for (let i = 0; common === undefined; i += 1) {
      const { id: made } = await saveFiles(repository, { a: String(i) });
      const digit = made.slice(0, 1);
      common = digits.has(digit) ? digit : undefined;
      digits.add(digit);
    }
    await expect(repository.resolveSnapshot(common)).rejects.toThrow(
      expect.objectContaining({ code: "repository.snapshot_ambiguous" }),
    );
  });

  test("that are damaged are said to be", async () => {
    const { repository, store } = await createFixture();
    const snapshot = await saveFiles(repository, { a: "1" });
    await overwrite(store, `snapshots/${snapshot.id}`, flipByte(30));
    await expect(repository.snapshots()).rejects.toThrow(
      expect.objectContaining({ code: "repository.snapshot_damaged", kind: "corrupt" }),
    );
  });
});

describe("snapshot files", () => {
  test("have restic's fields in its order", () => {
    const json = formatSnapshot({
      time: new Date("2026-01-02T03:04:05Z"),
      tree: "ab".repeat(32),
      paths: ["/a&b"],
      hostname: "h",
      username: "u",
      tags: [],
      programVersion: "sparekeep 1.2.3",
    });
    expect(json.toString()).toBe(
      `{"time":"2026-01-02T03:04:05Z","tree":"${"ab".repeat(32)}","paths":["/a\\u0026b"],` +
        '"hostname":"h","username":"u","program_version":"sparekeep 1.2.3"}',
    );
  });

  test("of stock restic are read", () => {
    const json = {
      time: "2026-01-02T03:04:05.123456789+01:00",
      parent: "ef".repeat(32),
      tree: "ab".repeat(32),
      paths: ["/srv"],
      uid: 5,
      tags: null,
      summary: { files_new: 1 },
    };
    const snapshot = parseSnapshot(Buffer.from(JSON.stringify(json)), id);
    expect(snapshot).toMatchObject({ parent: json.parent, tags: [], hostname: "" });
  });

  test("of garbage are none", () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        expect(parseSnapshot(Buffer.from(text), id)).toBeUndefined();
      }),
    );
  });
});
