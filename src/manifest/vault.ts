import { createHmac } from "node:crypto";
import { z } from "zod";
import type { Bytes } from "../kernel/index.ts";
import { manifestError } from "./errors.ts";
import type { StoredFile } from "./manifest.ts";

/**
 * Secrets of Supabase's Vault, stored decrypted because the policy says so in words: rows of `vault.secrets` are
 * ciphertext under a root key that is not in the database.
 */
export interface VaultManifest {
  /** {@link formatVaultFile}. */
  readonly file: StoredFile;
  readonly secrets: readonly VaultEntry[];
}

export interface VaultEntry {
  /** At the source; the target gives another. */
  readonly id: string;
  readonly name?: string;
  /** {@link createVaultDigest}: says whether a value is still the same, and only to whoever has the repository's key. */
  readonly digest: string;
}

export interface VaultSecret {
  readonly id: string;
  readonly name: string | null;
  readonly description: string;
  readonly secret: string;
}

const LABEL = "sparekeep vault secret v1";

/** HMAC-SHA256 over the secret's id at the source and its value, under the key of the manifest's row hashes. */
export function createVaultDigest(key: Bytes): (id: string, secret: string) => string {
  return (id, secret) =>
    createHmac("sha256", key).update(`${LABEL}\0${id}\0${secret}`).digest("hex");
}

const file = z.strictObject({
  secrets: z.array(
    z.strictObject({
      id: z.uuid(),
      name: z.string().nullable(),
      description: z.string(),
      secret: z.string(),
    }),
  ),
});

export function formatVaultFile(secrets: readonly VaultSecret[]): Bytes {
  return Buffer.from(`${JSON.stringify({ secrets }, null, 2)}\n`);
}

export function parseVaultFile(bytes: Bytes): readonly VaultSecret[] {
  const damaged = (): Error =>
    manifestError("damaged", { message: "file of Vault's secrets that is none" });
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    // What the parser throws could show a piece of a secret.
    throw damaged();
  }
  const parsed = file.safeParse(value);
  if (!parsed.success) throw damaged();
  return parsed.data.secrets;
}
