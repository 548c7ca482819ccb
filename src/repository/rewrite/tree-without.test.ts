import { array, assert, asyncProperty, constantFrom, uint8Array } from "fast-check";
import { describe, expect, test } from "vitest";
import type { Bytes } from "../../kernel/index.ts";
import { fromHex, toHex } from "../../kernel/index.ts";
import { blobIdOf } from "../seal.ts";
import { latin1 } from "../tree/names.ts";
import { PendingFolder, reservePath } from "../tree/pending.ts";
import { saveTree } from "../tree/save-tree.ts";
import { parseTree } from "../tree/parse-tree.ts";
import { isShard, trueName } from "../read/walk.ts";
import { pathSet } from "./path-set.ts";
import { treeWithout } from "./tree-without.ts";

/** Trees in memory, by id. */
class Trees {
  readonly stored = new Map<string, Bytes>();

  readonly save = (json: Bytes): Promise<string> => {
    const id = toHex(blobIdOf(json));
    this.stored.set(id, json);
    return Promise.resolve(id);
  };

  readonly load = (id: string): Promise<Bytes> => {
    const json = this.stored.get(id);
    return json === undefined ? Promise.reject(new Error(`no tree ${id}`)) : Promise.resolve(json);
  };

  async of(paths: readonly (readonly Bytes[])[]): Promise<string> {
    const root = new PendingFolder();
    for (const path of paths) {
      try {
        const file = { mode: 0o600, modifiedAtMs: 0, sizeBytes: 0, content: "" };
        reservePath(root, path).save(file);
      } catch {
        // Twice the same path, or one through a file: the model does not hold it either.
      }
    }
    return (await saveTree(root, this.save)).tree;
  }

  /** Files by true path, and folders with a slash. */
  async paths(tree: string, at = ""): Promise<readonly string[]> {
    const found: string[] = [];
    for (const node of parseTree(await this.load(tree))) {
      if (node === undefined) throw new Error("no tree");
      const path = isShard(node) ? at : `${at}${toHex(trueName(node))}/`;
      if (!isShard(node)) found.push(path);
      if (node.subtree !== undefined) found.push(...(await this.paths(node.subtree, path)));
    }
    return found.sort();
  }
}

const name = constantFrom(
  ...["a", "b", "%", "%2F", "/", "", "..", "%-a", "ü", "x".repeat(300)].map((text) =>
    Buffer.from(text),
  ),
);
const path = array(name, { minLength: 1, maxLength: 4 });

describe("a tree without some paths", () => {
  test("holds what it held and nothing below those, whatever the names", async () => {
    await assert(
      asyncProperty(
        array(path, { maxLength: 12 }),
        array(path, { maxLength: 4 }),
        async (files, without) => {
          const trees = new Trees();
          const tree = await trees.of(files);
          const gone = without.map((names) => `${names.map(toHex).join("/")}/`);
          const before = await trees.paths(tree);
          const after = await treeWithout(tree, pathSet(without), trees);
          const left = before.filter((one) => !gone.some((prefix) => one.startsWith(prefix)));
          expect(await trees.paths(after)).toEqual(left);
          // Nothing changed is nothing new; and it is the same again.
          expect(after === tree).toBe(left.length === before.length);
          expect(await treeWithout(after, pathSet(without), trees)).toBe(after);
        },
      ),
    );
  });

  test("is the one that a writer makes, where no folder is left empty and none is in shards", async () => {
    const trees = new Trees();
    const files = ["a/1", "a/2", "b/c/3", "b/c/4", "b/d", "e"].map((text) =>
      text.split("/").map((part) => Buffer.from(part)),
    );
    const gone = [["a", "1"], ["b", "c", "4"], ["e"]];
    const kept = files.filter((one) => !gone.some((other) => other.join() === one.join()));
    const after = await treeWithout(await trees.of(files), pathSet(gone), trees);
    expect(after).toBe(await trees.of(kept));
  });

  test("changes no byte of what stays, fields that we do not know included", async () => {
    const trees = new Trees();
    const times = '"mtime":"2020-01-01T00:00:00.123456789+02:00","uid":7,"gid":8';
    const inner = await trees.save(
      Buffer.from(
        `{"nodes":[{"name":"x","type":"file",${times},"content":[]}, {"name":"y","type":"file",${times},"content":null,"new":{"subtree":1}}]}\n`,
      ),
    );
    const folder = `{"name":"d","type":"dir","mode":2147484141,${times},"links":2,"generic_attributes":{"a":"${inner}"},"content":null,"subtree":"${inner}","error":"subtree ${inner}"}`;
    const root = await trees.save(Buffer.from(`{"nodes":[${folder}]}\n`));
    const after = await treeWithout(root, pathSet([["d", "x"]]), trees);
    const left = `{"nodes":[{"name":"y","type":"file",${times},"content":null,"new":{"subtree":1}}]}\n`;
    const leftId = toHex(blobIdOf(Buffer.from(left)));
    expect(latin1(await trees.load(leftId))).toBe(left);
    expect(latin1(await trees.load(after))).toBe(
      `{"nodes":[${folder.replace(`"subtree":"${inner}"`, `"subtree":"${leftId}"`)}]}\n`,
    );
  });

  test("of garbage is damage", async () => {
    await assert(
      asyncProperty(uint8Array({ maxLength: 64 }), async (bytes) => {
        const trees = new Trees();
        const id = await trees.save(bytes);
        const attempt = treeWithout(id, pathSet([["a"]]), trees);
        await expect(attempt).rejects.toMatchObject({ code: "repository.tree_damaged" });
      }),
    );
  });

  test("that holds itself ends", async () => {
    const loop = "0".repeat(64);
    const node = `{"name":"a","type":"dir","mtime":"2020-01-01T00:00:00Z","subtree":"${loop}"}`;
    const trees = {
      load: () => Promise.resolve(Buffer.from(`{"nodes":[${node}]}`)),
      save: () => Promise.resolve(toHex(fromHex(loop))),
    };
    const deep = Array.from({ length: 6_000 }, () => "a");
    await expect(treeWithout(loop, pathSet([deep]), trees)).rejects.toMatchObject({
      code: "repository.tree_damaged",
    });
  });
});
