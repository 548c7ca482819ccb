import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { createFsStore } from "../../src/objectstore/index.ts";
import {
  codeOf,
  createTemporaryFolder,
  listKeys,
  patternBytes,
} from "../../src/objectstore/testing/index.ts";

const run = promisify(execFile);
const child = join(import.meta.dirname, "../../src/objectstore/testing/full-disk.ts");
const MIB = 1024 * 1024;
const SIZES = [MIB, 4 * MIB, MIB];
const EXPECTED = ["stored", "objectstore.full", "stored"];

/** A disk of 4 MiB, or undefined where this process may not mount one. */
async function mountSmallDisk(folder: string): Promise<AsyncDisposable | undefined> {
  try {
    await run("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", folder]);
  } catch {
    // Not root, or root without the right to mount: the test falls back to the kernel's limit on file sizes.
    return undefined;
  }
  return {
    [Symbol.asyncDispose]: async () => {
      await run("umount", [folder]);
    },
  };
}

async function fillDisk(folder: string): Promise<string[]> {
  const store = createFsStore(folder, { random: randomBytes });
  const codes: string[] = [];
  for (const [index, size] of SIZES.entries()) {
    const body = [patternBytes(size, index + 1)];
    const code = await codeOf(() => store.put(`data/${index}`, body, { ifAbsent: true }));
    codes.push(code === "no error" ? "stored" : code);
  }
  return codes;
}

/** `ulimit -f` counts blocks of 1 KiB: no file beyond 2 MiB. */
async function fillLimitedChild(folder: string): Promise<unknown> {
  const script = 'ulimit -f 2048; exec "$0" "$@"';
  const arguments_ = [child, folder, ...SIZES.map(String)];
  const { stdout } = await run("bash", ["-c", script, process.execPath, ...arguments_]);
  const codes: unknown = JSON.parse(stdout);
  return codes;
}

describe("the fs store on a full disk", () => {
  test("says full for what does not fit, leaves nothing of it, harms nothing else", async () => {
    await using folder = await createTemporaryFolder();
    await using disk = await mountSmallDisk(folder.path);
    const fill = disk === undefined ? fillLimitedChild : fillDisk;
    expect(await fill(folder.path)).toEqual(EXPECTED);

    const store = createFsStore(folder.path, { random: randomBytes });
    expect(await listKeys(store, "")).toEqual(["data/0", "data/2"]);
    expect((await readdir(join(folder.path, "data"))).sort()).toEqual(["0", "2"]);
    expect(Buffer.compare(await store.get("data/0"), patternBytes(MIB, 1))).toBe(0);
    expect(Buffer.compare(await store.get("data/2"), patternBytes(MIB, 3))).toBe(0);
  });

  // Proven wherever the tests run, also where the disk could be mounted.
  test("says full for a file beyond the largest allowed size", async () => {
    await using folder = await createTemporaryFolder();
    expect(await fillLimitedChild(folder.path)).toEqual(EXPECTED);
    expect((await readdir(join(folder.path, "data"))).sort()).toEqual(["0", "2"]);
  });
});
