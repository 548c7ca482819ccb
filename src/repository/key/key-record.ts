import { AppError } from "../../kernel/index.ts";
import type { RepositoryCore } from "../core.ts";
import { hexIdOf, stringListOf, stringOf, timeOf } from "../json.ts";
import type { JsonObject } from "../json.ts";
import { loadReadableRecords, saveRecord } from "../record/record.ts";
import type { FoundRecord } from "../record/record.ts";

/** What was done to keys through us, as sealed records of kind `keys`. docs/spec/repository.md §keys */

const KEY_ACTIONS = ["created", "added", "adopted", "removed"] as const;

export type KeyAction = (typeof KEY_ACTIONS)[number];

export interface KeyRecord {
  /** Id of the key file. */
  readonly key: string;
  readonly action: KeyAction;
  /** `username@hostname`, or the person who adopted it. */
  readonly by: string;
  readonly at: Date;
}

/** The repository's password was wrapped for these `age` recipients. */
export interface WrapRecord {
  /** Id of the file under `sparekeep/owners/`. */
  readonly file: string;
  /** The key that the wrapped password opens. */
  readonly key: string;
  readonly action: "wrapped";
  readonly owners: readonly string[];
  readonly by: string;
  readonly at: Date;
}

export interface KeyHistory {
  /** The last word on each key file. */
  readonly keys: ReadonlyMap<string, KeyRecord>;
  /** By the wrapped file. */
  readonly wraps: ReadonlyMap<string, WrapRecord>;
  /** Ids of records that cannot be read. They vouch for no key. */
  readonly damaged: readonly string[];
}

/** Durable when this returns. */
export async function saveKeyRecord(
  core: RepositoryCore,
  record: KeyRecord | WrapRecord,
  signal?: AbortSignal,
): Promise<void> {
  await saveRecord(core, "keys", { ...record, at: record.at.toISOString() }, signal);
}

/**
 * The same for what is done to a key. A store without a place for records (`rest:` with no store beside it) keeps keys all
 * the same: nobody vouches for any there, and `listKeys` says so.
 */
export async function noteKey(
  core: RepositoryCore,
  record: KeyRecord,
  signal?: AbortSignal,
): Promise<void> {
  try {
    await saveKeyRecord(core, record, signal);
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== "objectstore.no_place") throw thrown;
    core.log?.warn({ err: thrown, key: record.key }, "key without a record");
  }
}

export async function loadKeyHistory(
  core: RepositoryCore,
  signal?: AbortSignal,
): Promise<KeyHistory> {
  const { found, damaged } = await loadReadableRecords(core, "keys", parseRecord, signal);
  const keys = new Map<string, KeyRecord>();
  const wraps = new Map<string, WrapRecord>();
  for (const { value } of found.toSorted(byTime)) {
    if (value.action === "wrapped") wraps.set(value.file, value);
    else if (isLater(value, keys.get(value.key))) keys.set(value.key, value);
  }
  return { keys, wraps, damaged };
}

type Found = FoundRecord<KeyRecord | WrapRecord>;

/** By the store's clock, whose steps may be a second, then by the writers' clocks. */
function byTime(a: Found, b: Found): number {
  return a.storedAt.getTime() - b.storedAt.getTime() || a.value.at.getTime() - b.value.at.getTime();
}

/**
 * A removal is taken back by a person alone, who vouches for the key later by the writers' clocks too: whoever may write to
 * the store can put an old record there again, and then the store says that it is new.
 */
function isLater(next: KeyRecord, said: KeyRecord | undefined): boolean {
  if (said?.action !== "removed" || next.action === "removed") return true;
  return next.action === "adopted" && next.at > said.at;
}

function parseRecord(fields: JsonObject): KeyRecord | WrapRecord | undefined {
  const key = hexIdOf(fields["key"]);
  const by = stringOf(fields["by"]);
  const at = timeOf(fields["at"]);
  if (key === undefined || by === undefined || at === undefined) return undefined;
  if (fields["action"] === "wrapped") {
    const file = hexIdOf(fields["file"]);
    const owners = stringListOf(fields["owners"]);
    if (file === undefined || owners === undefined) return undefined;
    return { file, key, action: "wrapped", owners, by, at };
  }
  const action = KEY_ACTIONS.find((known) => known === fields["action"]);
  return action === undefined ? undefined : { key, action, by, at };
}
