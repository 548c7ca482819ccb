/*
 * effects
 *   reads         key files, records of keys, wrapped copies of the password
 *   writes        one audit record (`prove` a second one, of what it saw); add and passwd a key file and its record; adopt records; wrap, passwd and init a copy under sparekeep/owners/; unwrap and escrow a new file of mode 0600
 *   locks         add a shared one; passwd and remove an exclusive one
 *   leaves behind what it made; a removed key's record
 *   exit codes    0; 3 an old key or copy could not be removed; 10 no repository; 11 locked; 12 wrong password, or what was to be proven opens nothing; 20 a wrapped copy is damaged
 */
import type { Secret } from "../kernel/index.ts";
import { destinationNamed } from "../policy/index.ts";
import type { Destination, Named, Policy, SecretReference } from "../policy/index.ts";
import {
  addKey,
  changePassword,
  listKeys,
  openRepository,
  planAdoptKeys,
  planRemoveKey,
} from "../repository/index.ts";
import type { KeyEntry, Repository } from "../repository/index.ts";
import { resolveSecret } from "../secrets/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OperationContext } from "./context.ts";
import { operationError } from "./errors.ts";
import { demandStrong } from "./key/demand-strong.ts";
import {
  listWrapped,
  putWrapped,
  removeWrapped,
  wrapForOwners,
  wrappedCopies,
} from "./key/owners.ts";
import type { WrapResult } from "./key/owners.ts";
import { openStore, repositoryContext } from "./open.ts";

export interface KeyOptions {
  readonly policy: Policy;
  readonly destination?: string;
}

export interface KeyList {
  readonly destination: string;
  readonly location: string;
  readonly repository: string;
  readonly keys: readonly KeyEntry[];
  readonly damagedRecords: readonly string[];
  readonly recorded: boolean;
  /** Of the policy's owners; missing where it names none. */
  readonly wrapped?: "current" | "outdated";
}

export async function listRepositoryKeys(
  context: OperationContext,
  options: KeyOptions,
): Promise<KeyList> {
  const { destination, repository } = await opened(context, options, { verb: "list" });
  const listing = await listKeys(repository, context);
  return {
    destination: destination.name,
    location: repository.location,
    repository: repository.id,
    ...listing,
    ...(destination.owners === undefined
      ? {}
      : { wrapped: await wrappedState(context, repository, destination) }),
  };
}

export async function wrappedState(
  context: OperationContext,
  repository: Repository,
  destination: Destination,
): Promise<"current" | "outdated"> {
  const store = await openStore(context, destination);
  return (await wrappedCopies(repository, store, destination.owners ?? [], context)).state;
}

/** Where a new password comes from: a reference, or what was typed twice. */
export type NewPassword = SecretReference | { readonly typed: Secret };

export interface NewPasswordOptions extends KeyOptions {
  readonly newPassword: NewPassword;
  readonly allowWeak: boolean;
}

export interface AddKeyOptions extends NewPasswordOptions {
  /** Whose key it is; who runs this by default. */
  readonly username?: string;
  readonly hostname?: string;
}

export interface AddedKey {
  readonly location: string;
  readonly key: string;
  readonly owner: string;
  /** Taken all the same, because it was asked for. */
  readonly weakness?: string;
}

export async function addRepositoryKey(
  context: OperationContext,
  options: AddKeyOptions,
): Promise<AddedKey> {
  const { username = context.actor, hostname = context.hostname } = options;
  const owner = `${username}@${hostname}`;
  const { repository, password, weakness } = await withNewPassword(context, options, {
    verb: "add",
    owner,
  });
  const key = await addKey(repository, {
    ...asker(context),
    password,
    owner: { username, hostname },
  });
  return { location: repository.location, key, owner, ...given(weakness) };
}

export interface PasswordChange {
  readonly outcome: "complete" | "incomplete";
  readonly location: string;
  readonly key: string;
  /** Where it still opens the repository, and why. */
  readonly remains?: { readonly key: string; readonly reason: string };
  readonly removed?: string;
  /** The owners' new copy. */
  readonly wrapped?: string;
  readonly remainingCopies: readonly string[];
  readonly weakness?: string;
}

/** Under the new password: key, then the owners' copy; only then the old key and the old copies go. */
export async function changeRepositoryPassword(
  context: OperationContext,
  options: NewPasswordOptions,
): Promise<PasswordChange> {
  const { destination, repository, password, weakness } = await withNewPassword(context, options, {
    verb: "passwd",
  });
  const { owners } = destination;
  const store = await openStore(context, destination);
  const older = owners === undefined ? [] : await listWrapped(store, context);
  let wrapped: string | undefined;
  const changed = await changePassword(repository, {
    ...asker(context),
    password,
    beforeRemoval: async (key) => {
      if (owners === undefined) return;
      const by = whoOf(context);
      wrapped = await putWrapped({ repository, store, owners, password, key, by }, context);
    },
  });
  // Copies of the old password stay useful for as long as its key is there.
  const copies =
    changed.outcome === "complete" && wrapped !== undefined
      ? await removeWrapped(store, older, context)
      : { remaining: older };
  const incomplete = changed.outcome === "incomplete" || copies.remaining.length > 0;
  return {
    outcome: incomplete ? "incomplete" : "complete",
    location: repository.location,
    key: changed.added,
    ...(changed.outcome === "complete"
      ? { removed: changed.removed }
      : { remains: { key: changed.remains, reason: changed.reason.message } }),
    ...(wrapped === undefined ? {} : { wrapped }),
    remainingCopies: copies.remaining,
    ...given(weakness),
  };
}

export interface PlannedKeyRemoval {
  readonly location: string;
  readonly key: KeyEntry;
  readonly keysLeft: number;
  execute(): Promise<{ readonly outcome: "complete" | "incomplete"; readonly reason?: string }>;
}

export async function planKeyRemoval(
  context: OperationContext,
  options: KeyOptions & { readonly key: string },
): Promise<PlannedKeyRemoval> {
  const asked = { verb: "remove", key: options.key };
  const { repository, password } = await opened(context, options, asked);
  const plan = await planRemoveKey(repository, options.key, { ...asker(context), password });
  return {
    location: repository.location,
    key: plan.key,
    keysLeft: plan.keysLeft,
    execute: async () => {
      const removal = await plan.execute();
      if (removal.outcome === "complete") return { outcome: "complete" };
      return { outcome: "incomplete", reason: removal.reason.message };
    },
  };
}

export interface PlannedAdoption {
  readonly location: string;
  readonly by: string;
  readonly keys: readonly KeyEntry[];
  execute(): Promise<void>;
}

export async function planKeyAdoption(
  context: OperationContext,
  options: KeyOptions & { readonly by: string; readonly keys?: readonly string[] },
): Promise<PlannedAdoption> {
  const { by, keys: references } = options;
  const { repository } = await opened(context, options, { verb: "adopt", by });
  const plan = await planAdoptKeys(repository, {
    by,
    signal: context.signal,
    ...(references === undefined ? {} : { references }),
  });
  return { location: repository.location, by, keys: plan.keys, execute: () => plan.execute() };
}

export interface WrappedForOwners extends WrapResult {
  readonly location: string;
}

export async function wrapPassword(
  context: OperationContext,
  options: KeyOptions,
): Promise<WrappedForOwners> {
  const { destination, repository, password } = await opened(context, options, { verb: "wrap" });
  if (destination.owners === undefined) {
    throw operationError("owners_missing", {
      message: `destination ${destination.name} without owners`,
      subject: { destination: destination.name },
    });
  }
  return {
    location: repository.location,
    ...(await wrapForDestination(context, destination, repository, password)),
  };
}

/** Also what `init` does where the policy names owners. */
export async function wrapForDestination(
  context: OperationContext,
  destination: Destination,
  repository: Repository,
  password: Secret,
): Promise<WrapResult> {
  const { owners = [] } = destination;
  const store = await openStore(context, destination);
  const by = whoOf(context);
  const { keyId: key } = repository;
  return await wrapForOwners({ repository, store, owners, password, key, by }, context);
}

interface OpenedDestination {
  readonly destination: Named<Destination>;
  readonly repository: Repository;
  readonly password: Secret;
}

/** The audit record first, then the repository. */
async function opened(
  context: OperationContext,
  options: KeyOptions,
  asked: Readonly<Record<string, string>>,
): Promise<OpenedDestination> {
  const destination = destinationNamed(options.policy, options.destination);
  const subject = { destination: destination.name, ...asked };
  await recordAccess(context, options.policy, "key", subject);
  const password = await resolveSecret(destination.password, context.env);
  const { signal } = context;
  const parts = await repositoryContext(context, destination);
  return { destination, password, repository: await openRepository(parts, { password, signal }) };
}

/** `password` is the new one; refused where it is weak, before anything is opened. */
async function withNewPassword(
  context: OperationContext,
  options: NewPasswordOptions,
  asked: Readonly<Record<string, string>>,
): Promise<OpenedDestination & { readonly weakness: string | undefined }> {
  const destination = destinationNamed(options.policy, options.destination);
  const { newPassword, allowWeak, policy } = options;
  const password =
    "typed" in newPassword ? newPassword.typed : await resolveSecret(newPassword, context.env);
  const what = "new password";
  const weakness = demandStrong(context, password, { what, allowWeak, policy, destination });
  return { ...(await opened(context, options, asked)), password, weakness };
}

function given(weakness: string | undefined): { readonly weakness?: string } {
  return weakness === undefined ? {} : { weakness };
}

function asker(context: OperationContext) {
  const { hostname, actor: username, pid, signal, keyCost } = context;
  return { hostname, username, pid, signal, ...(keyCost === undefined ? {} : { cost: keyCost }) };
}

function whoOf({ actor, hostname }: OperationContext): string {
  return `${actor}@${hostname}`;
}
