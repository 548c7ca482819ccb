import { hash } from "node:crypto";
import { AppError, isHexId } from "../../kernel/index.ts";
import type { ObjectStat } from "../../objectstore/index.ts";
import type { RepositoryCore } from "../core.ts";
import { repositoryError } from "../errors.ts";
import { objectOf, parseJson } from "../json.ts";
import type { JsonObject } from "../json.ts";
import { listFiles } from "../list.ts";
import { inParallel } from "../parallel.ts";
import { openUnpacked, sealUnpacked } from "../unpacked.ts";

/**
 * What must outlive every machine and has no place in restic's format: small sealed documents under
 * `sparekeep/<kind>/<id>`, in the ciphertext form of restic's own files, so that a fresh machine with the key reads them
 * and stock restic passes them over. Written once, never changed; a newer one replaces an older one by what it says.
 * docs/spec/repository.md §records
 */
export type RecordKind =
  /** Snapshots that nobody may forget. */
  | "holds"
  /** Proof states of recovery points. */
  | "proofs"
  /** What a check has read, and when. */
  | "checks"
  /** Key files that were added through us. */
  | "keys"
  /** What was taken out of snapshots, and why. */
  | "erasures"
  /** Packs that a prune has set aside. */
  | "prunes"
  /** Where the history of a source breaks. */
  | "gaps"
  /** Manifests of portable dumps, which lie elsewhere as plain files. */
  | "dumps";

const PARALLEL = 8;

type ListedFile = ObjectStat & { readonly id: string };

export interface FoundRecord<Value> {
  readonly id: string;
  /** The store's clock. */
  readonly storedAt: Date;
  readonly value: Value;
}

/** Durable under the returned id when this returns. `value` should say its time and a random part: equal ones are one. */
export async function saveRecord(
  core: RepositoryCore,
  kind: RecordKind,
  value: JsonObject,
  signal?: AbortSignal,
): Promise<string> {
  const sealed = sealUnpacked(core, Buffer.from(JSON.stringify(value)));
  const id = hash("sha256", sealed, "hex");
  await core.store.put(keyOf(kind, id), [sealed], {
    ifAbsent: true,
    ...(signal === undefined ? {} : { signal }),
  });
  return id;
}

/** All of a kind, oldest first by the store's clock. One that cannot be read is an error: a hold might be in it. */
export async function loadRecords<Value>(
  core: RepositoryCore,
  kind: RecordKind,
  parse: (fields: JsonObject) => Value | undefined,
  signal?: AbortSignal,
): Promise<readonly FoundRecord<Value>[]> {
  const { found, damage } = await readRecords(core, kind, parse, signal);
  const [first] = damage;
  if (first !== undefined) throw first.error;
  return found;
}

/**
 * For kinds of which a lost one makes us say too much and never too little: those that cannot be read are named and
 * passed over, so that garbage which somebody puts there silences nothing.
 */
export async function loadReadableRecords<Value>(
  core: RepositoryCore,
  kind: RecordKind,
  parse: (fields: JsonObject) => Value | undefined,
  signal?: AbortSignal,
): Promise<{
  readonly found: readonly FoundRecord<Value>[];
  readonly damaged: readonly string[];
}> {
  const { found, damage } = await readRecords(core, kind, parse, signal);
  return { found, damaged: damage.map(({ id }) => id) };
}

interface ReadRecords<Value> {
  readonly found: readonly FoundRecord<Value>[];
  readonly damage: readonly { readonly id: string; readonly error: AppError }[];
}

/** Every run leaves one: some at once, so that years of them are read in seconds. */
async function readRecords<Value>(
  core: RepositoryCore,
  kind: RecordKind,
  parse: (fields: JsonObject) => Value | undefined,
  signal?: AbortSignal,
): Promise<ReadRecords<Value>> {
  const found: FoundRecord<Value>[] = [];
  const damage: { readonly id: string; readonly error: AppError }[] = [];
  const read = async (file: ListedFile): Promise<void> => {
    try {
      const fields = await loadRecord(core, kind, file, signal);
      if (fields === undefined) return;
      const value = parse(fields);
      if (value === undefined) throw damaged(kind, file.id, "of an unknown form");
      found.push({ id: file.id, storedAt: file.modifiedAt, value });
    } catch (thrown) {
      const unreadable = thrown instanceof AppError && thrown.code === "repository.record_damaged";
      if (!unreadable) throw thrown;
      damage.push({ id: file.id, error: thrown });
    }
  };
  const files = await listFiles(core.store, `sparekeep/${kind}/`, signal);
  await inParallel(files, { lanes: PARALLEL, signal }, read);
  found.sort((a, b) => a.storedAt.getTime() - b.storedAt.getTime() || (a.id < b.id ? -1 : 1));
  return { found, damage };
}

export async function removeRecord(
  core: RepositoryCore,
  kind: RecordKind,
  id: string,
  signal?: AbortSignal,
): Promise<void> {
  await core.store.remove(keyOf(kind, id), signal === undefined ? {} : { signal });
}

/** `undefined`: removed between listing and reading. */
async function loadRecord(
  core: RepositoryCore,
  kind: RecordKind,
  { id }: ListedFile,
  signal: AbortSignal | undefined,
): Promise<JsonObject | undefined> {
  const options = signal === undefined ? {} : { signal };
  let what = "";
  // Read again once, past whatever spoiled the first reading, before it is called damaged.
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      const opened = openUnpacked(core, id, await core.store.get(keyOf(kind, id), options));
      if (typeof opened !== "string") {
        const fields = objectOf(parseJson(opened));
        if (fields !== undefined) return fields;
        what = "that is no record";
      } else what = opened;
    } catch (thrown) {
      if (thrown instanceof AppError && thrown.code === "objectstore.not_found") return undefined;
      throw thrown;
    }
  }
  throw damaged(kind, id, what);
}

function damaged(kind: RecordKind, id: string, what: string): AppError {
  return repositoryError("record_damaged", {
    message: `record ${kind}/${id.slice(0, 8)} ${what}`,
    subject: { kind, record: id },
  });
}

function keyOf(kind: RecordKind, id: string): string {
  if (!isHexId(id)) throw damaged(kind, id.slice(0, 64), "whose name is no id");
  return `sparekeep/${kind}/${id}`;
}
