import type { Bytes } from "../../kernel/index.ts";
import { arrayOf, base64Of, countOf, hexIdOf, objectOf, stringOf, timeOf } from "../json.ts";
import type { JsonObject } from "../json.ts";
import { goJsonName, goJsonString, goTime, goUnquote } from "./go-json.ts";

/** Nodes of restic's trees. docs/spec/repository.md §tree */

const MODE_DIR = 0x8000_0000;

export interface NewNode {
  /** As stored, escaped. */
  readonly name: Bytes;
  readonly mode: number;
  readonly modifiedAt: Date;
  readonly attributes: readonly (readonly [name: string, value: Bytes])[];
}

export interface NewFileNode extends NewNode {
  readonly sizeBytes: number;
  /** Ids of the blobs, 32 bytes each. */
  readonly content: Bytes;
}

export interface NewDirNode extends NewNode {
  readonly subtree: string;
}

/** Field order and omissions are those of restic's Node type as Go encodes it. */
export function formatFileNode(node: NewFileNode): string {
  const size = node.sizeBytes === 0 ? "" : `,"size":${node.sizeBytes}`;
  const content = contentList(node.content);
  return `${head(node, "file", node.mode)}${size}${attributeList(node)},"content":[${content}]}`;
}

export function formatDirNode(node: NewDirNode): string {
  const end = `${attributeList(node)},"content":null,"subtree":"${node.subtree}"}`;
  return `${head(node, "dir", node.mode + MODE_DIR)}${end}`;
}

function head(node: NewNode, type: "file" | "dir", mode: number): string {
  const time = goTime(node.modifiedAt);
  const modeField = mode === 0 ? "" : `,"mode":${mode}`;
  const times = `"mtime":${time},"atime":${time},"ctime":${time}`;
  return `{"name":${goJsonName(node.name)},"type":"${type}"${modeField},${times},"uid":0,"gid":0`;
}

function attributeList({ attributes }: NewNode): string {
  if (attributes.length === 0) return "";
  const items = attributes.map(
    ([name, value]) => `{"name":${goJsonString(name)},"value":"${base64(value)}"}`,
  );
  return `,"extended_attributes":[${items.join(",")}]`;
}

function contentList(content: Bytes): string {
  const hex = Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString("hex");
  const ids: string[] = [];
  for (let at = 0; at < hex.length; at += 64) ids.push(`"${hex.slice(at, at + 64)}"`);
  return ids.join(",");
}

function base64(bytes: Bytes): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/** Tree blobs end with a newline, as restic writes them. */
export function formatTree(nodes: readonly string[]): Bytes {
  return Buffer.from(`{"nodes":[${nodes.join(",")}]}\n`);
}

export interface TreeNode {
  /** As stored. */
  readonly name: Bytes;
  readonly type: "file" | "dir" | "symlink" | "other";
  readonly mode: number;
  readonly modifiedAt: Date;
  readonly sizeBytes: number;
  readonly content: readonly string[];
  readonly subtree?: string;
  readonly linkTarget?: Bytes;
  readonly attributes: ReadonlyMap<string, Bytes>;
}

/** `undefined` when the object is no node. */
export function parseNode(value: unknown): TreeNode | undefined {
  const fields = objectOf(value);
  const quoted = stringOf(fields?.["name"]);
  const type = stringOf(fields?.["type"]);
  if (fields === undefined || quoted === undefined || type === undefined) return undefined;
  const name = goUnquote(quoted);
  const modifiedAt = timeOf(fields["mtime"]);
  const mode = countOf(fields["mode"] ?? 0, 0xffff_ffff);
  const sizeBytes = countOf(fields["size"] ?? 0);
  const content = idList(fields["content"]);
  const attributes = attributesOf(fields["extended_attributes"]);
  if (name === undefined || modifiedAt === undefined || mode === undefined) return undefined;
  if (sizeBytes === undefined || content === undefined || attributes === undefined)
    return undefined;
  const common = { name, mode: permissionsOf(mode), modifiedAt, sizeBytes, content, attributes };
  if (type === "dir") {
    const subtree = hexIdOf(fields["subtree"]);
    return subtree === undefined ? undefined : { ...common, type: "dir", subtree };
  }
  if (type === "symlink") {
    const linkTarget = linkTargetOf(fields);
    return linkTarget === undefined ? undefined : { ...common, type: "symlink", linkTarget };
  }
  return { ...common, type: type === "file" ? "file" : "other" };
}

/** Go's os.FileMode keeps setuid, setgid and sticky at bits 23, 22 and 20. */
function permissionsOf(mode: number): number {
  const special = [
    [23, 0o4000],
    [22, 0o2000],
    [20, 0o1000],
  ] as const;
  const extra = special.reduce((sum, [bit, unix]) => ((mode >>> bit) & 1 ? sum | unix : sum), 0);
  return (mode & 0o777) | extra;
}

function linkTargetOf(fields: JsonObject): Bytes | undefined {
  if (fields["linktarget_raw"] !== undefined) return base64Of(fields["linktarget_raw"]);
  const text = stringOf(fields["linktarget"]);
  return text === undefined ? undefined : Buffer.from(text, "utf8");
}

function idList(value: unknown): readonly string[] | undefined {
  if (value === null || value === undefined) return [];
  const list = arrayOf(value);
  if (list === undefined) return undefined;
  const ids: string[] = [];
  for (const item of list) {
    const id = hexIdOf(item);
    if (id === undefined) return undefined;
    ids.push(id);
  }
  return ids;
}

function attributesOf(value: unknown): ReadonlyMap<string, Bytes> | undefined {
  const found = new Map<string, Bytes>();
  if (value === null || value === undefined) return found;
  for (const item of arrayOf(value) ?? [undefined]) {
    const fields = objectOf(item);
    const name = stringOf(fields?.["name"]);
    const raw = fields?.["value"];
    const bytes = raw === null ? Buffer.alloc(0) : base64Of(raw);
    if (name === undefined || bytes === undefined) return undefined;
    found.set(name, bytes);
  }
  return found;
}
