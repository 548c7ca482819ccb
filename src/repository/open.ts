import { hash } from "node:crypto";
import { asKeyId } from "../kernel/index.ts";
import { AppError, toAppError } from "../kernel/index.ts";
import type { KeyId } from "../kernel/index.ts";
import { createConfig, loadConfig, sealConfig } from "./config.ts";
import type { RepositoryConfig } from "./config.ts";
import { objectKey, registerCore } from "./core.ts";
import type { RepositoryCore } from "./core.ts";
import { calibrateCost, createKeyFile, openKeyFile, parseKeyFile } from "./crypto/key-file.ts";
import { deriveKey, randomMasterKey } from "./crypto/master-key.ts";
import type { MasterKey } from "./crypto/master-key.ts";
import { getReady } from "./ahead.ts";
import { repositoryError } from "./errors.ts";
import { noteKey } from "./key/key-record.ts";
import { loadKey } from "./key/load-key.ts";
import { listFiles, listIds } from "./list.ts";
import { loadSnapshots, resolveSnapshot } from "./snapshots.ts";
import type { CreateSealer } from "./sealer.ts";
import type { ThreadStock } from "./thread-stock.ts";
import type {
  CreateRepository,
  OpenOptions,
  OpenRepository,
  Repository,
  RepositoryContext,
} from "./types.ts";

/** Each costs a key derivation. restic tries so many too. */
const MAX_KEYS_TRIED = 20;
const PROGRAM_VERSION = "sparekeep 0.1.0";

export const createRepository: CreateRepository = async (context, options) => {
  const { store, clock, random } = context;
  const waits = options.signal === undefined ? {} : { signal: options.signal };
  await requireNothingThere(context, options.signal);
  const cost = options.cost ?? (await calibrateCost(clock, random));
  const master = randomMasterKey(random);
  const { password, username, hostname } = options;
  const created = clock.now();
  const key = { master, password, cost, created, username, hostname };
  const keyFile = await createKeyFile(key, random);
  const keyId = hash("sha256", keyFile, "hex");
  const core: RepositoryCore = { ...context, master };
  const config = createConfig(random);
  // The key first: a config without its key would be a repository that nobody can open.
  await store.put(objectKey.key(keyId), [keyFile], { ifAbsent: true, ...waits });
  try {
    await store.put(objectKey.config, [sealConfig(core, config)], { ifAbsent: true, ...waits });
  } catch (thrown) {
    const taken = thrown instanceof AppError && thrown.code === "objectstore.exists";
    await removeOrphanKey(context, keyId, taken);
    throw taken ? alreadyExists(context) : thrown;
  }
  // Last: a record of a creation that failed would be sealed with a key that nobody has. A crash before it shows the key
  // as one that nobody added, which is said and put right by `key adopt`.
  const by = `${username}@${hostname}`;
  await noteKey(core, { key: keyId, action: "created", by, at: created }, options.signal);
  return repositoryOf(core, config, asKeyId(keyId));
};

export const openRepository: OpenRepository = async (context, options) => {
  const { store } = context;
  const waits = options.signal === undefined ? {} : { signal: options.signal };
  if ((await store.stat(objectKey.config, waits)) === undefined) {
    throw repositoryError("not_found", {
      message: `no repository at ${store.location}`,
      subject: { location: store.location },
    });
  }
  let threads: ThreadStock | undefined;
  const meanwhile = (): void => {
    if (options.next !== undefined) threads ??= getReady(options.next);
  };
  try {
    const { master, keyId } = await findKey(context, options, meanwhile);
    const core = { ...context, master, ...(threads === undefined ? {} : { threads }) };
    return repositoryOf(core, await loadConfig(core, options.signal), keyId);
  } catch (thrown) {
    await threads?.[Symbol.asyncDispose]();
    throw thrown;
  }
};

/**
 * A key without its config would stand in the way of the next attempt. It stays where the config may be ours after all: a
 * write that failed for us may have reached the store.
 */
async function removeOrphanKey(
  { store, log }: RepositoryContext,
  keyId: string,
  taken: boolean,
): Promise<void> {
  try {
    const ours = !taken && (await store.stat(objectKey.config)) !== undefined;
    if (!ours) await store.remove(objectKey.key(keyId));
  } catch (thrown) {
    // What stopped the creation is thrown by the caller and says more; the next attempt names the key that is left.
    log?.warn({ err: toAppError(thrown), key: keyId }, "key left behind");
  }
}

async function requireNothingThere(
  context: RepositoryContext,
  signal?: AbortSignal,
): Promise<void> {
  const { store } = context;
  const waits = signal === undefined ? {} : { signal };
  if ((await store.stat(objectKey.config, waits)) !== undefined) throw alreadyExists(context);
  const [key] = await listIds(store, "keys/", signal);
  if (key === undefined) return;
  // Never removed by us: if the config was lost, this key is what is left to open the data with.
  throw repositoryError("already_exists", {
    message: `key without a config at ${store.location}`,
    subject: { location: store.location, key },
    hint: "Remove keys/ if a creation was interrupted there, or restore `config` if a repository was.",
  });
}

function alreadyExists({ store }: RepositoryContext): AppError {
  return repositoryError("already_exists", {
    message: `repository that already is at ${store.location}`,
    subject: { location: store.location },
  });
}

/**
 * Each key in turn, those that lie there longest first: whoever may only add keys cannot bury the one that opens. A damaged
 * one is passed over when another opens, and told when none does; it does not count.
 */
async function findKey(
  context: RepositoryContext,
  { password, signal }: OpenOptions,
  meanwhile: () => void,
): Promise<{ master: MasterKey; keyId: KeyId }> {
  const listed = await listFiles(context.store, "keys/", signal);
  const files = listed.toSorted((a, b) => a.modifiedAt.getTime() - b.modifiedAt.getTime());
  let damage: AppError | undefined;
  let refused = false;
  let tried = 0;
  for (const { id } of files) {
    if (tried === MAX_KEYS_TRIED) break;
    try {
      const file = parseKeyFile(await loadKey(context.store, id, signal), id);
      if (file !== undefined) tried += 1;
      const opening = file === undefined ? undefined : openKeyFile(file, password);
      meanwhile();
      const master = await opening;
      if (master !== undefined) return { master, keyId: asKeyId(id) };
      refused = true;
    } catch (thrown) {
      if (!(thrown instanceof AppError) || thrown.code === "kernel.cancelled") throw thrown;
      // Removed since it was listed.
      if (thrown.code === "objectstore.not_found") continue;
      if (thrown.kind !== "corrupt" && thrown.kind !== "incompatible") throw thrown;
      damage ??= thrown;
    }
  }
  if (damage !== undefined && !refused) throw damage;
  if (!refused) {
    throw repositoryError("key_damaged", {
      message: `repository without a key at ${context.store.location}`,
    });
  }
  throw repositoryError("wrong_password", {
    message: `password that opens no key of ${context.store.location} (${files.length} tried)`,
    ...(damage === undefined ? {} : { cause: damage }),
  });
}

function repositoryOf(core: RepositoryCore, config: RepositoryConfig, keyId: KeyId): Repository {
  const repository: Repository = {
    id: config.id,
    keyId,
    location: core.store.location,
    deriveKey: (label) => deriveKey(core.master, label),
    snapshots: (options) => loadSnapshots(core, options?.signal),
    resolveSnapshot: (reference, options) => resolveSnapshot(core, reference, options?.signal),
    acquireWriter: async (options) => {
      const { acquireWriter } = await import("./write/writer.ts");
      const { createPoolSealer } = await import("./seal-worker-pool.ts");
      const { threads } = core;
      const createSealer: CreateSealer =
        core.createSealer ??
        ((sealing) =>
          createPoolSealer({ ...sealing, ...(threads === undefined ? {} : { threads }) }));
      return acquireWriter({ core, createSealer, programVersion: PROGRAM_VERSION }, options);
    },
    acquireReader: async (options) =>
      (await import("./read/reader.ts")).acquireReader(core, options?.signal),
    check: async (options) => (await import("./check/check.ts")).checkRepository(core, options),
  };
  registerCore(repository, core);
  return repository;
}
