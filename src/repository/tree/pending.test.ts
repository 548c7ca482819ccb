import { describe, expect, test } from "vitest";
import { discardPath, PendingFolder, reservePath, showPath } from "./pending.ts";

const file = { mode: 0o600, modifiedAtMs: 0, sizeBytes: 0, content: "" };

describe("paths of a snapshot being written", () => {
  test("taken twice are refused, whether finished or not, and free again when abandoned", () => {
    const root = new PendingFolder();
    const slot = reservePath(root, ["a", "b"]);
    const again = (): unknown => reservePath(root, [Buffer.from("a"), "b"]);
    const duplicate = expect.objectContaining({ code: "repository.duplicate_path" });
    expect(again).toThrow(duplicate);
    slot.abandon();
    reservePath(root, ["a", "b"]).save(file);
    expect(again).toThrow(duplicate);
    expect(() => reservePath(root, ["a"])).toThrow(duplicate);
  });

  test.for([
    ["no names at all", []],
    ["more names than any system can open", Array.from({ length: 1025 }, () => "d")],
    ["a way through a file", ["f", "x"]],
  ] as const)("of %s are refused", ([, path]) => {
    const root = new PendingFolder();
    reservePath(root, ["f"]).save(file);
    expect(() => reservePath(root, path)).toThrow(
      expect.objectContaining({ code: "repository.invalid_path" }),
    );
  });

  test("discarded or abandoned leave no empty folder behind, and nobody else's file goes with them", () => {
    const root = new PendingFolder();
    reservePath(root, ["a", "b", "kept"]).save(file);
    reservePath(root, ["a", "b", "c", "file"]).save(file);
    reservePath(root, ["x", "y"]).abandon();
    discardPath(root, ["a", "b", "c", "file"]);
    expect([...root.children.keys()]).toEqual(["a"]);
    const slot = reservePath(root, ["a", "b", "c"]);
    discardPath(root, ["a", "b", "kept"]);
    slot.save(file);
    discardPath(root, ["a", "b", "c"]);
    expect(root.children.size).toBe(0);
  });

  test("that hold no saved file cannot be discarded", () => {
    const root = new PendingFolder();
    reservePath(root, ["a", "open"]);
    reservePath(root, ["a", "saved"]).save(file);
    for (const path of [["a"], ["a", "open"], ["a", "none"], ["a", "saved", "below"], ["b"], []]) {
      expect(() => discardPath(root, path)).toThrow(
        expect.objectContaining({ code: "repository.path_not_found" }),
      );
    }
    expect([...root.children.keys()]).toEqual(["a"]);
  });

  test("cost at most a few hundred bytes each", () => {
    const root = new PendingFolder();
    const before = process.memoryUsage().heapUsed;
    const count = 50_000;
    for (let i = 0; i < count; i += 1) {
      const content = Buffer.alloc(32, i).toString("latin1");
      reservePath(root, ["bucket", `object-${i}.jpg`]).save({ ...file, content, sizeBytes: i });
    }
    const bytesEach = (process.memoryUsage().heapUsed - before) / count;
    expect(root.children.size).toBe(1);
    // Garbage not yet collected counts too; what stays is about 250.
    expect(bytesEach).toBeLessThan(1500);
  });

  test("are shown without what a terminal would obey", () => {
    expect(showPath(["a", "\u001b[31m", Buffer.from([0xff]), "ü"])).toBe("a/\ufffd[31m/\ufffd/ü");
  });
});
