import { AppError, asKeyId } from "../../kernel/index.ts";
import type { KeyId } from "../../kernel/index.ts";
import { coreOf, objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { parseKeyFile } from "../crypto/key-file.ts";
import { repositoryError } from "../errors.ts";
import { objectOf, parseJson, stringOf, timeOf } from "../json.ts";
import { listIds } from "../list.ts";
import type { Repository } from "../types.ts";
import { loadKeyHistory } from "./key-record.ts";
import type { KeyRecord } from "./key-record.ts";
import { loadKey } from "./load-key.ts";

export interface KeyEntry {
  readonly id: KeyId;
  /**
   * `known`: added or adopted through us. `unknown`: no record names it, so somebody put it there otherwise. `removed`: it
   * was removed through us and is there, because the store refused the removal or somebody put it back.
   */
  readonly state: "known" | "unknown" | "removed";
  /** It is the one that opened the repository. */
  readonly current: boolean;
  /** As the file says; missing where it says nothing that can be read. Whoever wrote it could write anything. */
  readonly username?: string;
  readonly hostname?: string;
  readonly created?: Date;
  /** The last record of it. */
  readonly record?: Pick<KeyRecord, "action" | "by" | "at">;
  /** Why it opens for nobody. */
  readonly damage?: string;
}

export interface KeyListing {
  readonly keys: readonly KeyEntry[];
  /** Records of kind `keys` that cannot be read; keys that only they name are unknown. */
  readonly damagedRecords: readonly string[];
  /** False: nobody ever vouched for a key, as in a repository that another program made. Then unknown ones are no news. */
  readonly recorded: boolean;
}

interface Waits {
  readonly signal?: AbortSignal;
}

/** Every key file, oldest first. Takes no lock. */
export function listKeys(repository: Repository, { signal }: Waits = {}): Promise<KeyListing> {
  return listKeysOf(coreOf(repository), repository.keyId, signal);
}

export async function listKeysOf(
  core: RepositoryCore,
  current: KeyId | undefined,
  signal: AbortSignal | undefined,
): Promise<KeyListing> {
  // Files before records: a key that is being added now was named before its file came.
  const files: Omit<KeyEntry, "state">[] = [];
  for (const id of await listIds(core.store, "keys/", signal)) {
    const file = await readKey(core, id, signal);
    if (file !== undefined) files.push({ ...file, current: id === current });
  }
  const history = await loadKeyHistory(core, signal);
  const keys: KeyEntry[] = [];
  for (const file of files) {
    const entry = judged(file, history.keys.get(file.id));
    // One whose removal came between the two readings is no key any more.
    if (entry.state !== "removed" || (await isThere(core, file.id, signal))) keys.push(entry);
  }
  const { damaged } = history;
  const recorded = history.keys.size > 0 || damaged.length > 0;
  return { keys: keys.sort(byCreation), damagedRecords: damaged, recorded };
}

function judged(file: Omit<KeyEntry, "state">, last: KeyRecord | undefined): KeyEntry {
  if (last === undefined) return { ...file, state: "unknown" };
  const { action, by, at } = last;
  return { ...file, state: action === "removed" ? "removed" : "known", record: { action, by, at } };
}

async function isThere(
  { store }: RepositoryCore,
  id: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const options = signal === undefined ? {} : { signal };
  return (await store.stat(objectKey.key(id), options)) !== undefined;
}

/** Key files that nobody vouches for: what an append-only client, or whoever has the bucket, could have added. */
export async function unknownKeys(
  repository: Repository,
  options: Waits = {},
): Promise<readonly KeyEntry[]> {
  return unknownAmong(await listKeys(repository, options));
}

export function unknownAmong({ keys }: KeyListing): readonly KeyEntry[] {
  return keys.filter(({ state }) => state !== "known");
}

/** What is wrong with a key that nobody vouches for, in words for findings. */
export function strangenessOf({ id, state, record, username, hostname }: KeyEntry): string {
  const short = id.slice(0, 8);
  if (state === "removed" && record !== undefined) {
    return `key ${short}, removed by ${record.by} at ${record.at.toISOString()} and there all the same`;
  }
  return `key ${short} not added through Sparekeep, by its own words of ${username ?? "nobody"}@${hostname ?? "nowhere"}`;
}

/** A record that cannot be read vouches for nothing; it may have said that a key was removed. */
export function unreadableOf(record: string): string {
  return `record ${record.slice(0, 8)} of a key that cannot be read: it may have been a removal`;
}

/** One key by its id or an unambiguous prefix. */
export function keyNamed(keys: readonly KeyEntry[], reference: string): KeyEntry {
  const prefix = reference.toLowerCase();
  const found = prefix === "" ? [] : keys.filter(({ id }) => id.startsWith(prefix));
  const [key] = found;
  if (key !== undefined && found.length === 1) return key;
  throw repositoryError("key_not_found", {
    message: `${found.length === 0 ? "no key" : `${found.length} keys`} with an id that begins with ${JSON.stringify(reference.slice(0, 64))}`,
    subject: { reference: reference.slice(0, 64) },
  });
}

type FileEntry = Omit<KeyEntry, "state" | "current" | "record">;

/** `undefined`: removed between listing and reading. */
async function readKey(
  { store }: RepositoryCore,
  id: string,
  signal: AbortSignal | undefined,
): Promise<FileEntry | undefined> {
  try {
    const bytes = await loadKey(store, id, signal);
    return { id: asKeyId(id), ...statedIn(parseJson(bytes)), ...damageOf(bytes, id) };
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
    if (thrown.code === "objectstore.not_found") return undefined;
    if (thrown.kind !== "corrupt") throw thrown;
    return { id: asKeyId(id), damage: thrown.message };
  }
}

function statedIn(json: unknown): Pick<FileEntry, "username" | "hostname" | "created"> {
  const fields = objectOf(json);
  const username = stringOf(fields?.["username"]);
  const hostname = stringOf(fields?.["hostname"]);
  const created = timeOf(fields?.["created"]);
  return {
    ...(username === undefined ? {} : { username }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(created === undefined ? {} : { created }),
  };
}

function damageOf(bytes: Uint8Array, id: string): Pick<FileEntry, "damage"> {
  try {
    return parseKeyFile(bytes, id) === undefined ? { damage: "of an unknown derivation" } : {};
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
    return { damage: thrown.message };
  }
}

function byCreation(a: KeyEntry, b: KeyEntry): number {
  const difference = (a.created?.getTime() ?? 0) - (b.created?.getTime() ?? 0);
  return difference || (a.id < b.id ? -1 : 1);
}
