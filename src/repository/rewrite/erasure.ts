import { createHmac } from "node:crypto";
import { fromHex, isHexId, toHex } from "../../kernel/index.ts";
import type { Bytes, SnapshotId } from "../../kernel/index.ts";
import { coreOf } from "../core.ts";
import { arrayOf, hexIdOf, objectOf, stringListOf, stringOf, timeOf } from "../json.ts";
import type { JsonObject } from "../json.ts";
import { loadRecords, saveRecord } from "../record/record.ts";
import { bytesOfName } from "../tree/pending.ts";
import type { EntryPath, Repository, Snapshot } from "../types.ts";

/**
 * What was taken out of snapshots, when, by whom and why, without saying what: paths are personal, so the record holds
 * their HMAC under a key derived from the master key. Who knows a path can ask whether it was erased; the record does not
 * tell it. docs/spec/repository.md §rewrite
 */
export interface Erasure {
  readonly id: string;
  readonly at: Date;
  readonly by: string;
  readonly reason: string;
  /** Whether this entry, or a folder that it lay in, was erased. */
  covers(path: EntryPath): boolean;
}

export interface ErasedSnapshot {
  readonly from: SnapshotId;
  readonly fromTree: string;
  readonly toTree: string;
}

export interface NewErasure {
  readonly at: Date;
  readonly by: string;
  readonly host: string;
  readonly reason: string;
  readonly snapshots: readonly ErasedSnapshot[];
  readonly paths: readonly EntryPath[];
}

interface ErasureFile {
  readonly at: Date;
  readonly by: string;
  readonly reason: string;
  readonly snapshots: readonly { readonly fromTree: string; readonly toTree: string }[];
  readonly paths: ReadonlySet<string>;
  /** Only of a record that came with a copy: the key of the repository where it was made, for this use alone. */
  readonly key: Bytes | undefined;
}

const KEY_LABEL = "erasures/1";
const VERSION = 1;

/** Durable when this returns; written before the snapshots that it speaks of. */
export async function saveErasure(
  repository: Repository,
  erasure: NewErasure,
  signal?: AbortSignal,
): Promise<string> {
  const core = coreOf(repository);
  const key = repository.deriveKey(KEY_LABEL);
  const { at, by, host, reason, snapshots, paths } = erasure;
  return await saveRecord(
    core,
    "erasures",
    {
      version: VERSION,
      at: at.toISOString(),
      by,
      host,
      reason,
      snapshots,
      paths: paths.map((path) => hashOf(key, path)),
      nonce: toHex(core.random(16)),
    },
    signal,
  );
}

/**
 * What was taken out of this snapshot, through any number of rewrites and copies, oldest first. Trees tell it, which copies
 * and tags do not change.
 */
export async function erasuresOf(
  repository: Repository,
  snapshot: Snapshot,
  options: { readonly signal?: AbortSignal } = {},
): Promise<readonly Erasure[]> {
  const records = await loadRecords(coreOf(repository), "erasures", parseErasure, options.signal);
  const trees = new Set<string>([snapshot.tree]);
  const found = new Set<(typeof records)[number]>();
  for (let before = -1; before < trees.size;) {
    before = trees.size;
    for (const record of records) {
      for (const { fromTree, toTree } of record.value.snapshots) {
        if (!trees.has(toTree)) continue;
        found.add(record);
        trees.add(fromTree);
      }
    }
  }
  return records
    .filter((record) => found.has(record))
    .map(({ id, value }) => {
      const { at, by, reason, paths } = value;
      const key = value.key ?? repository.deriveKey(KEY_LABEL);
      const covers = (path: EntryPath): boolean =>
        path.some((_, last) => paths.has(hashOf(key, path.slice(0, last + 1))));
      return { id, at, by, reason, covers };
    })
    .sort((a, b) => a.at.getTime() - b.at.getTime());
}

/** For a copy under another master key: the record brings the one derived key by which its paths can be asked for. */
export function portableErasure(source: Repository, record: JsonObject): JsonObject {
  const own = stringOf(record["key"]);
  return { ...record, key: own ?? toHex(source.deriveKey(KEY_LABEL)) };
}

function hashOf(key: Bytes, path: EntryPath): string {
  const hmac = createHmac("sha256", key);
  for (const part of path) {
    const name = bytesOfName(part);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(name.byteLength);
    hmac.update(length).update(name);
  }
  return hmac.digest("hex");
}

function parseErasure(fields: JsonObject): ErasureFile | undefined {
  const at = timeOf(fields["at"]);
  const by = stringOf(fields["by"]);
  const reason = stringOf(fields["reason"]);
  const paths = stringListOf(fields["paths"]);
  const snapshots = arrayOf(fields["snapshots"])?.map(treesOf);
  const key = fields["key"] === undefined ? undefined : hexIdOf(fields["key"]);
  if (fields["version"] !== VERSION || at === undefined || by === undefined) return undefined;
  if (reason === undefined || paths === undefined || snapshots === undefined) return undefined;
  if (fields["key"] !== undefined && key === undefined) return undefined;
  const whole = snapshots.filter((one) => one !== undefined);
  if (whole.length !== snapshots.length || !paths.every(isHexId)) return undefined;
  return {
    at,
    by,
    reason,
    snapshots: whole,
    paths: new Set(paths),
    key: key === undefined ? undefined : fromHex(key),
  };
}

function treesOf(value: unknown): { fromTree: string; toTree: string } | undefined {
  const fields = objectOf(value);
  const fromTree = hexIdOf(fields?.["fromTree"]);
  const toTree = hexIdOf(fields?.["toTree"]);
  return fromTree === undefined || toTree === undefined ? undefined : { fromTree, toTree };
}
