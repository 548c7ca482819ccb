import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatDirNode, formatFileNode, formatTree, parseNode } from "./node.ts";
import { parseTree } from "./parse-tree.ts";

const modifiedAt = new Date("2026-01-02T03:04:05.060Z");
const time = '"2026-01-02T03:04:05.06Z"';
const times = `"mtime":${time},"atime":${time},"ctime":${time}`;
const id = "ab".repeat(32);

describe("nodes", () => {
  test("of files have the fields of restic's Node in their order", () => {
    const json = formatFileNode({
      name: Buffer.from("a<b"),
      mode: 0o600,
      modifiedAt,
      sizeBytes: 70,
      content: Buffer.from(id + id, "hex"),
      attributes: [["user.a&b", Buffer.from([1, 2])]],
    });
    expect(json).toBe(
      `{"name":"a\\u003cb","type":"file","mode":384,${times},"uid":0,"gid":0,"size":70,` +
        `"extended_attributes":[{"name":"user.a\\u0026b","value":"AQI="}],"content":["${id}","${id}"]}`,
    );
  });

  test("of empty files leave out what Go leaves out", () => {
    const empty = { name: Buffer.from("e"), mode: 0, modifiedAt, sizeBytes: 0 };
    expect(formatFileNode({ ...empty, content: new Uint8Array(0), attributes: [] })).toBe(
      `{"name":"e","type":"file",${times},"uid":0,"gid":0,"content":[]}`,
    );
  });

  test("of folders carry Go's folder bit", () => {
    const dir = { name: Buffer.from("d"), mode: 0o700, modifiedAt, attributes: [], subtree: id };
    expect(formatDirNode(dir)).toBe(
      `{"name":"d","type":"dir","mode":2147484096,${times},"uid":0,"gid":0,"content":null,"subtree":"${id}"}`,
    );
  });

  test("of stock restic are read: symlink, raw target, special bits, unknown fields", () => {
    const base = { name: "l\\xff", mtime: "2026-01-02T03:04:05.123456789+02:00", uid: 5, inode: 9 };
    const link = parseNode({ ...base, type: "symlink", linktarget: "x", linktarget_raw: "/w==" });
    expect(link?.linkTarget).toEqual(Buffer.from([0xff]));
    expect(link?.name).toEqual(Buffer.from([0x6c, 0xff]));
    expect(link?.modifiedAt).toEqual(new Date("2026-01-02T01:04:05.123Z"));
    const file = parseNode({
      ...base,
      type: "file",
      mode: 0x8000_0000 + (1 << 23) + 0o755,
      extra: 1,
    });
    expect(file?.mode).toBe(0o4755);
    expect(parseNode({ ...base, type: "fifo" })?.type).toBe("other");
  });

  test.for([
    ["no name", { name: undefined }],
    ["a name that Go cannot unquote", { name: "\\q" }],
    ["no time", { mtime: "yesterday" }],
    ["a negative size", { size: -1 }],
    ["content that is no ids", { content: ["x"] }],
    ["a folder without a tree", { type: "dir" }],
    ["a symlink without a target", { type: "symlink" }],
    ["attributes that are no list", { extended_attributes: 3 }],
    ["an attribute that is no base64", { extended_attributes: [{ name: "a", value: "?" }] }],
  ] as const)("with %s are damaged", ([, change]) => {
    const node = { name: "a", type: "file", mtime: "2026-01-02T03:04:05Z", content: [] };
    expect(parseNode(node)).toBeDefined();
    expect(parseNode({ ...node, ...change })).toBeUndefined();
  });
});

describe("trees", () => {
  const node = formatDirNode({
    name: Buffer.from('{"}]\\'),
    mode: 0o700,
    modifiedAt,
    attributes: [],
    subtree: id,
  });

  test("are read node by node", () => {
    const nodes = [...parseTree(formatTree([node, node, node]))];
    expect(nodes.map((n) => Buffer.from(n?.name ?? []).toString())).toEqual(
      Array.from({ length: 3 }, () => '{"}]\\'),
    );
  });

  test.for(['{"nodes":[]}\n', '{"nodes":null}', ' { "nodes" : [ ] } \n'])("%j is empty", (json) => {
    expect([...parseTree(Buffer.from(json))]).toEqual([]);
  });

  test("with white space as other encoders write it are read", () => {
    expect([...parseTree(Buffer.from(` {\n"nodes" : [ ${node} ,\t${node} ]\r\n}\n`))]).toHaveLength(
      2,
    );
  });

  test("cut anywhere end in damage", () => {
    const whole = formatTree([node, node]);
    // Without its last newline a tree is whole.
    for (let length = 0; length < whole.byteLength - 1; length += 1) {
      expect([...parseTree(whole.subarray(0, length))].at(-1)).toBeUndefined();
      expect([...parseTree(whole.subarray(0, length))].length).toBeGreaterThan(0);
    }
  });

  test.for([
    '{"nodes":[]}x',
    '{"nodes":[],"a":1}',
    "[]",
    "{}",
    '{"nodes":[{}]}',
    '{"nodes":[1]}',
    "\u0000",
  ])("%j is damaged", (json) => {
    expect([...parseTree(Buffer.from(json))]).toEqual([undefined]);
  });

  test("of garbage never throw", () => {
    const pieces = fc.constantFrom('{"nodes":[', "]}", ",", node, "{", "}", '"', "\\", "null", " ");
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 8 }), (parts) => {
        const nodes = [...parseTree(Buffer.from(parts.join("")))];
        expect(nodes.slice(0, -1)).not.toContain(undefined);
      }),
      { numRuns: 2000 },
    );
  });
});
