import { Secret } from "../kernel/index.ts";
import { openObjectStore } from "../objectstore/index.ts";
import type { ObjectStore } from "../objectstore/index.ts";
import type { ConnectionReference, Destination } from "../policy/index.ts";
import { openRepository } from "../repository/index.ts";
import type { Repository, RepositoryContext } from "../repository/index.ts";
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
  return openObjectStore(destination.url, {
    clock,
    random,
    signal,
    settings: await storeSettings(context, destination),
    onRetry: (error, attempt, delayMs) => {
      log.warn({ code: error.code, subject: error.subject, attempt, delayMs }, "store is retried");
    },
  });
}

export async function repositoryContext(
  context: OperationContext,
  destination: Destination,
): Promise<RepositoryContext> {
  const { clock, random, log } = context;
  return { store: await openStore(context, destination), clock, random, log };
}

/** The repository of a destination, opened with the password that the policy names. No lock is taken. */
export async function openDestination(
  context: OperationContext,
  destination: Destination,
): Promise<Repository> {
  const password = await resolveSecret(destination.password, context.env);
  const { signal } = context;
  return openRepository(await repositoryContext(context, destination), { password, signal });
}

export async function connectionUrl(
  context: OperationContext,
  reference: ConnectionReference,
): Promise<Secret> {
  if ("text" in reference) return new Secret(reference.text);
  return resolveSecret(reference, context.env);
}
