import { hash } from "node:crypto";
import { asKeyId } from "../../kernel/index.ts";
import type { KeyId, Secret } from "../../kernel/index.ts";
import { coreOf, objectKey } from "../core.ts";
import type { RepositoryCore } from "../core.ts";
import { calibrateCost, createKeyFile, openKeyFile, parseKeyFile } from "../crypto/key-file.ts";
import { repositoryError } from "../errors.ts";
import { acquireLock } from "../lock/lock.ts";
import type { KeyDerivationCost, Repository } from "../types.ts";
import { noteKey } from "./key-record.ts";
import { loadKey } from "./load-key.ts";

export interface KeyChangeOptions {
  /** Who asks, for the lock and the records. */
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
  readonly signal?: AbortSignal;
}

export interface NewKeyOptions extends KeyChangeOptions {
  readonly password: Secret;
  /** Whose key it is, where that is not who asks: one key a person or machine. */
  readonly owner?: { readonly username?: string; readonly hostname?: string };
  /** Tests only; calibrated by default, as for a new repository. */
  readonly cost?: KeyDerivationCost;
}

/** A second password for the same master key. Durable, read back and opened with its password when this returns. */
export async function addKey(repository: Repository, options: NewKeyOptions): Promise<KeyId> {
  const core = coreOf(repository);
  await using _lock = await acquireLock(core, lockOptions(options, false));
  return await writeKey(core, options);
}

/**
 * 1. the record that names the file: a crash after it leaves a name without a file, which opens nothing
 * 2. the file
 * 3. read back from the store and opened with the password
 */
export async function writeKey(core: RepositoryCore, options: NewKeyOptions): Promise<KeyId> {
  const { password, signal, username, hostname } = options;
  const { clock, random, master, store } = core;
  const cost = options.cost ?? (await calibrateCost(clock, random));
  const created = clock.now();
  const owner = { username, hostname, ...options.owner };
  const file = await createKeyFile({ master, password, cost, created, ...owner }, random);
  const id = asKeyId(hash("sha256", file, "hex"));
  const by = whoOf(options);
  await noteKey(core, { key: id, action: "added", by, at: created }, signal);
  await store.put(objectKey.key(id), [file], {
    ifAbsent: true,
    ...(signal === undefined ? {} : { signal }),
  });
  await requireOpens(core, id, password, signal);
  return id;
}

async function requireOpens(
  core: RepositoryCore,
  id: KeyId,
  password: Secret,
  signal: AbortSignal | undefined,
): Promise<void> {
  const file = parseKeyFile(await loadKey(core.store, id, signal), id);
  const opened = file === undefined ? undefined : await openKeyFile(file, password);
  if (opened !== undefined && Buffer.from(opened.raw).equals(core.master.raw)) return;
  throw repositoryError("key_unproven", {
    message: `new key ${id.slice(0, 8)} that does not open with its password`,
    subject: { key: id },
  });
}

export function whoOf({ username, hostname }: KeyChangeOptions): string {
  return `${username}@${hostname}`;
}

export function lockOptions(options: KeyChangeOptions, exclusive: boolean) {
  const { username, hostname, pid, signal } = options;
  return {
    exclusive,
    owner: { username, hostname, pid },
    ...(signal === undefined ? {} : { signal }),
  };
}
