import { createHash } from "node:crypto";
import { AppError } from "../../kernel/index.ts";
import type { Bytes, Secret } from "../../kernel/index.ts";
import type { ObjectStore } from "../../objectstore/index.ts";
import { listKeys, loadWraps, recordWrap } from "../../repository/index.ts";
import type { Repository, WrapRecord } from "../../repository/index.ts";
import { operationError } from "../errors.ts";
import { unwrap, wrapFor } from "./age.ts";

/** The repository's password, wrapped for its owners, beside the repository: `sparekeep/owners/<SHA-256>.age`. */
const FOLDER = "sparekeep/owners/";
const NAME = /^([0-9a-f]{64})\.age$/;

interface Waits {
  readonly signal: AbortSignal;
}

export type WrappedCopies =
  /** A copy is there that these owners open, of a password that opens. */
  | { readonly state: "current"; readonly copy: WrapRecord; readonly others: readonly string[] }
  | { readonly state: "outdated"; readonly others: readonly string[] };

export async function wrappedCopies(
  repository: Repository,
  store: ObjectStore,
  owners: readonly string[],
  waits: Waits,
): Promise<WrappedCopies> {
  const files = await listWrapped(store, waits);
  const wraps = await loadWraps(repository, waits.signal);
  const { keys } = await listKeys(repository, waits);
  const opening = new Set(
    keys
      .filter(({ state, damage }) => state === "known" && damage === undefined)
      .map(({ id }) => id as string),
  );
  const fitting = files
    .flatMap((file) => wraps.get(file) ?? [])
    .filter((wrap) => opening.has(wrap.key) && sameOwners(wrap.owners, owners));
  const copy = await firstWhole(store, fitting, waits);
  const others = files.filter((file) => file !== copy?.file);
  return copy === undefined ? { state: "outdated", others } : { state: "current", copy, others };
}

/** A name alone is no copy: whoever may write to the store can put anything there. */
async function firstWhole(
  store: ObjectStore,
  copies: readonly WrapRecord[],
  waits: Waits,
): Promise<WrapRecord | undefined> {
  for (const copy of copies) {
    try {
      await loadWrapped(store, copy.file, waits);
      return copy;
    } catch (thrown) {
      if (!(thrown instanceof AppError) || !NO_COPY.has(thrown.code)) throw thrown;
    }
  }
  return undefined;
}

const NO_COPY = new Set(["operation.wrap_damaged", "objectstore.not_found"]);

function sameOwners(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((owner) => b.includes(owner));
}

export interface WrapResult {
  readonly outcome: "complete" | "incomplete";
  readonly file: string;
  readonly owners: readonly string[];
  /** False: it was there already. */
  readonly created: boolean;
  readonly removed: readonly string[];
  /** Older copies that the store refuses to remove. */
  readonly remaining: readonly string[];
  /** Who could open an older copy and is no owner any more: they may have the password still. */
  readonly formerOwners: readonly string[];
}

export interface WrapInput {
  readonly repository: Repository;
  readonly store: ObjectStore;
  readonly owners: readonly string[];
  readonly password: Secret;
  /** The key that `password` opens. */
  readonly key: string;
  readonly by: string;
}

/**
 * 1. the record of who can open the new copy, 2. the new copy, read back, 3. older ones go. A crash leaves a copy too many
 * and never one too few.
 */
export async function wrapForOwners(input: WrapInput, waits: Waits): Promise<WrapResult> {
  const { repository, store, owners, key } = input;
  const present = await wrappedCopies(repository, store, owners, waits);
  const wraps = await loadWraps(repository, waits.signal);
  const current =
    present.state === "current" && present.copy.key === key ? present.copy : undefined;
  const older = (await listWrapped(store, waits)).filter((file) => file !== current?.file);
  const file = current?.file ?? (await putWrapped(input, waits));
  const { removed, remaining } = await removeWrapped(store, older, waits);
  const before = older.flatMap((id) => wraps.get(id)?.owners ?? []);
  return {
    outcome: remaining.length === 0 ? "complete" : "incomplete",
    file,
    owners,
    created: current === undefined,
    removed,
    remaining,
    formerOwners: [...new Set(before)].filter((owner) => !owners.includes(owner)),
  };
}

/** The new copy alone: what a change of password does before the old key goes. */
export async function putWrapped(input: WrapInput, { signal }: Waits): Promise<string> {
  const { repository, store, owners, key, password, by } = input;
  const bytes = await wrapFor(owners, password);
  const id = sha256(bytes);
  await recordWrap(repository, { file: id, key, owners, by }, signal);
  await store.put(keyOf(id), [bytes], { ifAbsent: true, signal });
  await loadWrapped(store, id, { signal });
  return id;
}

export async function removeWrapped(
  store: ObjectStore,
  files: readonly string[],
  { signal }: Waits,
): Promise<{ readonly removed: readonly string[]; readonly remaining: readonly string[] }> {
  const removed: string[] = [];
  const remaining: string[] = [];
  for (const file of files) {
    try {
      await store.remove(keyOf(file), { signal });
      removed.push(file);
    } catch (thrown) {
      if (!(thrown instanceof AppError) || thrown.code !== "objectstore.denied") throw thrown;
      remaining.push(file);
    }
  }
  return { removed, remaining };
}

export async function listWrapped(
  store: ObjectStore,
  { signal }: Waits,
): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const { key } of store.list(FOLDER, { signal })) {
    const id = NAME.exec(key.slice(FOLDER.length))?.[1];
    if (id !== undefined) found.push(id);
  }
  return found.sort();
}

export interface Unwrapped {
  readonly file: string;
  readonly password: Secret;
}

/** Every copy that these identities open. Damaged ones are passed over while another opens. */
export async function unwrapAll(
  store: ObjectStore,
  identities: readonly Secret[],
  waits: Waits,
): Promise<readonly Unwrapped[]> {
  const files = await listWrapped(store, waits);
  if (files.length === 0) {
    throw operationError("wrap_missing", {
      message: `no wrapped copy of the password beside ${store.location}`,
      subject: { location: store.location },
    });
  }
  const found: Unwrapped[] = [];
  let damage: AppError | undefined;
  for (const file of files) {
    try {
      const bytes = await loadWrapped(store, file, waits);
      const password = await unwrap(bytes, `wrapped copy ${file.slice(0, 8)}`, identities);
      if (password !== undefined) found.push({ file, password });
    } catch (thrown) {
      if (!(thrown instanceof AppError) || thrown.code !== "operation.wrap_damaged") throw thrown;
      damage ??= thrown;
    }
  }
  if (found.length > 0) return found;
  if (damage !== undefined) throw damage;
  throw operationError("identity_unfit", {
    message: `identity that opens none of the ${files.length} wrapped copies`,
  });
}

async function loadWrapped(store: ObjectStore, id: string, { signal }: Waits): Promise<Bytes> {
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const bytes = await store.get(keyOf(id), { signal });
    if (sha256(bytes) === id) return bytes;
  }
  throw operationError("wrap_damaged", {
    message: `wrapped copy ${id.slice(0, 8)} that is not what its name says`,
    subject: { file: id },
  });
}

function keyOf(id: string): string {
  return `${FOLDER}${id}.age`;
}

function sha256(bytes: Bytes): string {
  return createHash("sha256").update(bytes).digest("hex");
}
