import { AppError, toHex } from "../kernel/index.ts";
import type { Bytes, RandomBytes } from "../kernel/index.ts";
import { objectKey } from "./core.ts";
import type { RepositoryCore } from "./core.ts";
import { IV_BYTES, openBytes, sealBytes } from "./crypto/sealed.ts";
import { repositoryError } from "./errors.ts";
import { hexIdOf, objectOf, parseJson, stringOf } from "./json.ts";
import { randomPolynomial } from "./polynomial.ts";

/** `config`: plain JSON, sealed, never compressed. docs/spec/repository.md §config */
export interface RepositoryConfig {
  readonly version: 2;
  readonly id: string;
  readonly chunkerPolynomial: string;
}

export function createConfig(random: RandomBytes): RepositoryConfig {
  return { version: 2, id: toHex(random(32)), chunkerPolynomial: randomPolynomial(random) };
}

export function sealConfig(core: RepositoryCore, config: RepositoryConfig): Bytes {
  const json = JSON.stringify({
    version: config.version,
    id: config.id,
    chunker_polynomial: config.chunkerPolynomial,
  });
  return sealBytes(Buffer.from(json), core.master.keys, core.random(IV_BYTES));
}

export async function loadConfig(
  core: RepositoryCore,
  signal?: AbortSignal,
): Promise<RepositoryConfig> {
  const options = signal === undefined ? {} : { signal };
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const opened = openBytes(await core.store.get(objectKey.config, options), core.master.keys);
    if (opened !== undefined) return parseConfig(opened, core.store.location);
  }
  throw damaged(core.store.location, "that does not open with the repository's key");
}

/**
 * Throws where the repository that was opened no longer is: an unmounted disk leaves an empty folder, into which a whole
 * backup would go that no key opens; so would one into a new repository in the old one's place.
 */
export async function requireStillThere(core: RepositoryCore, signal?: AbortSignal): Promise<void> {
  try {
    await loadConfig(core, signal);
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== "objectstore.not_found") throw thrown;
    const { location } = core.store;
    throw repositoryError("not_found", {
      message: `no repository any more at ${location}`,
      subject: { location },
      cause: thrown,
    });
  }
}

export function parseConfig(json: Bytes, location: string): RepositoryConfig {
  const fields = objectOf(parseJson(json));
  const version = fields?.["version"];
  if (typeof version === "number" && version !== 2) {
    throw repositoryError("incompatible", {
      message: `repository of format version ${version} at ${location}`,
      subject: { version },
    });
  }
  const id = hexIdOf(fields?.["id"]);
  const polynomial = stringOf(fields?.["chunker_polynomial"]);
  if (version !== 2 || id === undefined || polynomial === undefined) {
    throw damaged(location, "that is no config");
  }
  return { version, id, chunkerPolynomial: polynomial };
}

function damaged(location: string, what: string): Error {
  return repositoryError("config_damaged", { message: `config of ${location} ${what}` });
}
