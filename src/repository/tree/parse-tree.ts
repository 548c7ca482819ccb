import type { Bytes } from "../../kernel/index.ts";
import { parseJson } from "../json.ts";
import { parseNode } from "./node.ts";
import type { TreeNode } from "./node.ts";

/**
 * The nodes of one tree blob, one at a time: a folder of 300,000 files is 91 MB of JSON in stock restic, and as
 * objects all at once it would be several times that. Yields `undefined` once, as the last thing, when the blob is
 * damaged or goes on after its end. `onText` gets each node's own bytes before the node is given: who writes a tree again
 * must not change a byte of what stays.
 */
export function* parseTree(json: Bytes): Generator<TreeNode | undefined, void, void> {
  for (const item of parseTreeTexts(json)) yield item?.node;
}

export interface TreeNodeText {
  readonly node: TreeNode;
  /** The node's own bytes within the tree. */
  readonly json: Bytes;
}

/** The same with each node's bytes, for whoever writes it again as it stood. */
export function* parseTreeTexts(json: Bytes): Generator<TreeNodeText | undefined, void, void> {
  let at = literal(json, 0, ["{", '"nodes"', ":"]);
  if (at < 0) return yield undefined;
  const none = literal(json, at, ["null", "}"]);
  if (none >= 0) return yield* trailer(json, none);
  at = literal(json, at, ["["]);
  if (at < 0) return yield undefined;
  const empty = literal(json, at, ["]", "}"]);
  if (empty >= 0) return yield* trailer(json, empty);
  for (;;) {
    const start = skipSpace(json, at);
    const end = objectEnd(json, start);
    const text = json.subarray(start, Math.max(start, end));
    const node = end < 0 ? undefined : parseNode(parseJson(text));
    if (node === undefined) return yield undefined;
    yield { node, json: text };
    const more = literal(json, end, [","]);
    if (more < 0) return yield* trailer(json, literal(json, end, ["]", "}"]));
    at = more;
  }
}

function* trailer(json: Bytes, at: number): Generator<undefined, void, void> {
  if (at < 0 || skipSpace(json, at) !== json.byteLength) yield undefined;
}

function skipSpace(json: Bytes, from: number): number {
  let at = from;
  while (json[at] === 0x20 || json[at] === 0x0a || json[at] === 0x0d || json[at] === 0x09) at += 1;
  return at;
}

/** Where the tokens end, or −1 when they do not stand here; white space between them is allowed. */
function literal(json: Bytes, from: number, tokens: readonly string[]): number {
  let at = from;
  for (const token of tokens) {
    at = skipSpace(json, at);
    for (let i = 0; i < token.length; i += 1, at += 1) {
      if (json[at] !== token.charCodeAt(i)) return -1;
    }
  }
  return at;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Where the JSON object that begins at `from` ends, or −1. Only braces and strings count; the rest JSON.parse judges. */
function objectEnd(json: Bytes, from: number): number {
  if (json[from] !== 0x7b) return -1;
  let depth = 0;
  for (let at = from; at < json.byteLength; at += 1) {
    const byte = json[at];
    if (byte === QUOTE) {
      at = stringEnd(json, at);
      if (at < 0) return -1;
    } else if (byte === 0x7b) depth += 1;
    else if (byte === 0x7d) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return -1;
}

function stringEnd(json: Bytes, open: number): number {
  for (let at = open + 1; at < json.byteLength; at += 1) {
    if (json[at] === BACKSLASH) at += 1;
    else if (json[at] === QUOTE) return at;
  }
  return -1;
}
