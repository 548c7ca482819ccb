/*
 * effects
 *   reads         nothing but the policy
 *   writes        one audit record; repositories that are not there yet; a copy of the password wrapped for the policy's owners; when asked to, the policy file, the password file and a file with the connection string
 *   locks         none
 *   leaves behind what it made; an existing file or repository is never overwritten
 *   exit codes    0; 2 the policy file exists; 12 a repository is there and has another password
 */
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { AppError } from "../kernel/index.ts";
import type { Secret } from "../kernel/index.ts";
import { destinationNamed, repositoryNames } from "../policy/index.ts";
import type { RepositoryDestination, Named, Policy, SecretReference } from "../policy/index.ts";
import { createRepository, openRepository } from "../repository/index.ts";
import type { Repository } from "../repository/index.ts";
import { resolveSecret } from "../secrets/index.ts";
import { recordAccess } from "./audit-log.ts";
import type { OperationContext } from "./context.ts";
import { wrapForDestination } from "./key.ts";
import { demandStrong } from "./key/demand-strong.ts";
import { createNewFile, fileExists, fileUnwritable } from "./new-file.ts";
import { repositoryContext } from "./open.ts";

export interface InitOptions {
  readonly policy: Policy;
  /** Destinations to create; all when left out. */
  readonly destinations?: readonly string[];
  /** Make a random password where the policy names a password file that is not there. */
  readonly generatePassword: boolean;
  /** Take a password that is easy to guess for a new repository. */
  readonly allowWeak?: boolean;
  /** Writes this text to this file, which must not exist, once the repositories are there. */
  readonly policyFile?: { readonly path: string; readonly text: string };
  /** With `policyFile`: the connection string that works, in a file (0600) that the policy names. */
  readonly connectionFile?: { readonly path: string; readonly text: Secret };
}

export interface InitResult {
  readonly policyFile?: string;
  readonly destinations: readonly InitializedDestination[];
}

export interface InitializedDestination {
  readonly name: string;
  readonly location: string;
  readonly repository: string;
  /** False: it was there already and opens with the password. */
  readonly created: boolean;
  /** What is weak about the password of a new repository, taken because it was asked for. */
  readonly weakness?: string;
  /** The copy of the password that the policy's owners open. */
  readonly wrappedFor?: readonly string[];
  /** The file whose loss loses the backups, when it was made now. */
  readonly generatedPasswordFile?: string;
}

const PASSWORD_BYTES = 32;

export async function init(context: OperationContext, options: InitOptions): Promise<InitResult> {
  const { policy, policyFile } = options;
  const names = options.destinations ?? repositoryNames(policy);
  await recordAccess(context, policy, "init", { destinations: names.join(", ") });
  // A policy that names repositories is there only when they are; a file of its name is never overwritten.
  if (policyFile !== undefined) await demandAbsent(policyFile.path);
  const { connectionFile } = options;
  if (connectionFile !== undefined) await demandAbsent(connectionFile.path);
  const destinations: InitializedDestination[] = [];
  for (const name of names) {
    const destination = destinationNamed(policy, name);
    destinations.push(await initDestination(context, destination, options));
  }
  if (policyFile === undefined) return { destinations };
  if (connectionFile !== undefined) {
    await writeNewFile(connectionFile.path, `${connectionFile.text.reveal()}\n`, 0o600);
  }
  await writeNewFile(policyFile.path, policyFile.text, 0o644);
  return { policyFile: policyFile.path, destinations };
}

async function initDestination(
  context: OperationContext,
  destination: Named<RepositoryDestination>,
  options: InitOptions,
): Promise<InitializedDestination> {
  const generated =
    options.generatePassword && (await generatePassword(context, destination.password));
  const password = await resolveSecret(destination.password, context.env);
  const { repository, created, weakness } = await openOrCreate(
    context,
    destination,
    password,
    options,
  );
  const { owners } = destination;
  // Also where it is there already: a crash may have come between the two.
  if (owners !== undefined) await wrapForDestination(context, destination, repository, password);
  return {
    name: destination.name,
    location: repository.location,
    repository: repository.id,
    created,
    ...(weakness === undefined ? {} : { weakness }),
    ...(owners === undefined ? {} : { wrappedFor: owners }),
    ...(typeof generated === "string" ? { generatedPasswordFile: generated } : {}),
  };
}

/** The repository that is there and opens with the password, or a new one with a random master key. */
export async function openOrCreate(
  context: OperationContext,
  destination: Named<RepositoryDestination>,
  password: Secret,
  { policy, allowWeak = false }: Pick<InitOptions, "policy" | "allowWeak">,
): Promise<{
  readonly repository: Repository;
  readonly created: boolean;
  readonly weakness?: string | undefined;
}> {
  const { signal, hostname, actor, keyCost } = context;
  const parts = await repositoryContext(context, destination);
  try {
    return { repository: await openRepository(parts, { password, signal }), created: false };
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== "repository.not_found") throw thrown;
  }
  const what = `password of destination ${destination.name}`;
  const weakness = demandStrong(context, password, { what, allowWeak, policy, destination });
  const repository = await createRepository(parts, {
    password,
    signal,
    hostname,
    username: actor,
    ...(keyCost === undefined ? {} : { cost: keyCost }),
  });
  return { repository, created: true, weakness };
}

/** The file that was made; `undefined` when the password is kept elsewhere or is there already. */
async function generatePassword(
  context: OperationContext,
  reference: SecretReference,
): Promise<string | undefined> {
  if (!("file" in reference)) return undefined;
  const password = Buffer.from(context.random(PASSWORD_BYTES)).toString("base64url");
  try {
    await mkdir(dirname(reference.file), { recursive: true, mode: 0o700 });
    // Durable before the repository exists: no crash leaves a repository whose password is gone.
    await writeNewFile(reference.file, `${password}\n`, 0o600);
    return reference.file;
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === "operation.file_exists") return undefined;
    throw thrown;
  }
}

async function demandAbsent(path: string): Promise<void> {
  try {
    await stat(path);
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return;
    throw fileUnwritable(path, thrown);
  }
  throw fileExists(path);
}

async function writeNewFile(path: string, text: string, mode: number): Promise<void> {
  await using file = await createNewFile(path, mode);
  await file.write(Buffer.from(text));
  await file.sync();
}
