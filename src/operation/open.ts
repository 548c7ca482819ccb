import { Secret } from "../kernel/index.ts";
import { asOf, openObjectStore, withStoreBeside } from "../objectstore/index.ts";
import type { ObjectStore, OpenStoreContext } from "../objectstore/index.ts";
import type { ConnectionReference, Destination, RepositoryDestination } from "../policy/index.ts";
import { openRepository } from "../repository/index.ts";
import type { NextWork, Repository, RepositoryContext } from "../repository/index.ts";
import { resolveSecret } from "../secrets/index.ts";
import type { OperationContext } from "./context.ts";
import { storeSettings } from "./store-settings.ts";

/**
 * The store of a destination with everything that the policy says of it. Nothing is written yet; one behind a network is
 * asked what it can do.
 */
export async function openStore(
  context: OperationContext,
  destination: Destination,
): Promise<ObjectStore> {
  const { clock, random, log, signal } = context;
  const given = context.storeAt?.(destination.url);
  if (given !== undefined) return given;
  const open: OpenStoreContext = {
    clock,
    random,
    signal,
    onRetry: (error, attempt, delayMs) => {
      log.warn({ code: error.code, subject: error.subject, attempt, delayMs }, "store is retried");
      context.onStoreRetry?.(error);
    },
  };
  const settings = await storeSettings(context, destination);
  const store = await openObjectStore(destination.url, { ...open, settings });
  if (destination.beside === undefined) return store;
  // Limits and credentials are the main store's: the one beside is a folder.
  return withStoreBeside(store, await openObjectStore(destination.beside, open));
}

export async function repositoryContext(
  context: OperationContext,
  destination: Destination,
): Promise<RepositoryContext> {
  const { clock, random, log } = context;
  return { store: await openStore(context, destination), clock, random, log };
}

/** How a repository is looked at: as it is, or for reading only as it was. */
export interface View {
  /** By the store's clock. */
  readonly asOf?: Date;
  /** What will be asked of it first. */
  readonly next?: NextWork;
}

/** The repository of a destination, opened with the password that the policy names. No lock is taken. */
export async function openDestination(
  context: OperationContext,
  destination: RepositoryDestination,
  view: View = {},
): Promise<Repository> {
  const password = await resolveSecret(destination.password, context.env);
  const { signal } = context;
  const present = await repositoryContext(context, destination);
  const seen =
    view.asOf === undefined ? present : { ...present, store: asOf(present.store, view.asOf) };
  const { next } = view;
  return openRepository(seen, { password, signal, ...(next === undefined ? {} : { next }) });
}

/** For audit records: that the past was looked at, and which. */
export function recordedView({ asOf: moment }: View): Readonly<Record<string, string>> {
  return moment === undefined ? {} : { asOf: moment.toISOString() };
}

export async function connectionUrl(
  context: OperationContext,
  reference: ConnectionReference,
): Promise<Secret> {
  if ("text" in reference) return new Secret(reference.text);
  return resolveSecret(reference, context.env);
}
