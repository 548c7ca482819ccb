import { Secret } from "../kernel/index.ts";
import { openObjectStore } from "../objectstore/index.ts";
import type { ConnectionReference, Destination } from "../policy/index.ts";
import { openRepository } from "../repository/index.ts";
import type { Repository, RepositoryContext } from "../repository/index.ts";
import { resolveSecret } from "../secrets/index.ts";
import type { OperationContext } from "./context.ts";

export function repositoryContext(context: OperationContext, url: string): RepositoryContext {
  const { clock, random, log } = context;
  const store = openObjectStore(url, {
    clock,
    random,
    onRetry: (error, attempt, delayMs) => {
      log.warn({ code: error.code, subject: error.subject, attempt, delayMs }, "store is retried");
    },
  });
  return { store, clock, random, log };
}

/** The repository of a destination, opened with the password that the policy names. No lock is taken. */
export async function openDestination(
  context: OperationContext,
  destination: Destination,
): Promise<Repository> {
  const password = await resolveSecret(destination.password, context.env);
  const { signal } = context;
  return openRepository(repositoryContext(context, destination.url), { password, signal });
}

export async function connectionUrl(
  context: OperationContext,
  reference: ConnectionReference,
): Promise<Secret> {
  if ("text" in reference) return new Secret(reference.text);
  return resolveSecret(reference, context.env);
}
