import { fromHex, throwIfAborted, toAppError, toHex } from "../../kernel/index.ts";
import type { AppError } from "../../kernel/index.ts";
import { repositoryError } from "../errors.ts";
import type { BlobReader } from "../read/blob-reader.ts";
import { openBlobs } from "../read/content.ts";
import type { BlobType } from "../seal.ts";
import { parseTree } from "../tree/parse-tree.ts";

/**
 * Every blob that trees reach, each tree read once. Trees are taken from the end of the list of those to see, a window
 * at a time, so that neighbours in a pack are read together; the next window is fetched while one is being read.
 * Memory: two windows, and a number for each tree that waits.
 */
const WINDOW_TREES = 256;
const WINDOW_BYTES = 4 * 1024 * 1024;

/** Told of each reference; answers whether the blob was met for the first time. `position` is one of its places. */
export type OnNeeded = (position: number, type: BlobType) => boolean;

type Window = readonly { readonly position: number; readonly json: Uint8Array }[];
type Fetched = { readonly window: Window } | { readonly error: AppError };

export async function walkTrees(
  reader: BlobReader,
  roots: readonly string[],
  onNeeded: OnNeeded,
  options: { readonly signal?: AbortSignal; readonly onTrees?: (trees: number) => void } = {},
): Promise<void> {
  const toSee: number[] = [];
  const need = (id: string, type: BlobType, from: string): void => {
    const position = reader.index.position(fromHex(id), type);
    if (position < 0) throw unplaced(id, type, from);
    if (onNeeded(position, type) && type === "tree") toSee.push(position);
  };
  for (const root of roots) need(root, "tree", "a snapshot");
  let ahead = fetchNext(reader, toSee, options.signal);
  while (ahead !== undefined) {
    const fetched = await ahead;
    throwIfAborted(options.signal);
    if ("error" in fetched) throw fetched.error;
    ahead = fetchNext(reader, toSee, options.signal);
    for (const { position, json } of fetched.window) readTree(reader, position, json, need);
    options.onTrees?.(fetched.window.length);
    ahead ??= fetchNext(reader, toSee, options.signal);
  }
}

function readTree(
  reader: BlobReader,
  position: number,
  json: Uint8Array,
  need: (id: string, type: BlobType, from: string) => void,
): void {
  const from = `tree ${toHex(reader.index.idAt(position)).slice(0, 8)}`;
  for (const node of parseTree(json)) {
    if (node === undefined) {
      throw repositoryError("tree_damaged", {
        message: `${from} that is no tree`,
        subject: { tree: toHex(reader.index.idAt(position)) },
      });
    }
    if (node.subtree !== undefined) need(node.subtree, "tree", from);
    for (const blob of node.content) need(blob, "data", from);
  }
}

/** Never rejects: it runs ahead of whoever will await it. `undefined`: nothing to see. */
function fetchNext(
  reader: BlobReader,
  toSee: number[],
  signal: AbortSignal | undefined,
): Promise<Fetched> | undefined {
  const positions: number[] = [];
  let sizeBytes = 0;
  while (toSee.length > 0 && positions.length < WINDOW_TREES && sizeBytes < WINDOW_BYTES) {
    const position = toSee.pop() ?? 0;
    positions.push(position);
    sizeBytes += reader.index.plainLengthAt(position);
  }
  if (positions.length === 0) return undefined;
  return fetchWindow(reader, positions, signal).catch((thrown: unknown) => ({
    error: toAppError(thrown),
  }));
}

async function fetchWindow(
  reader: BlobReader,
  positions: readonly number[],
  signal: AbortSignal | undefined,
): Promise<Fetched> {
  const opened = await openBlobs(reader, positions, signal);
  const window: { position: number; json: Uint8Array }[] = [];
  for (const position of positions) {
    const id = reader.index.idAt(position);
    // What did not come with its window is looked for at every place.
    const json = opened.get(toHex(id)) ?? (await reader.load(id, "tree", signal));
    window.push({ position, json });
  }
  return { window };
}

function unplaced(id: string, type: BlobType, from: string): AppError {
  return repositoryError("blob_not_found", {
    message: `${type} blob ${id.slice(0, 8)} of ${from} in no index`,
    subject: { blob: id },
  });
}
