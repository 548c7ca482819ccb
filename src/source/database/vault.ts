/** Secrets of Supabase's Vault as its own view opens them, where the policy says so in words. */
import { toAppError } from "../../kernel/index.ts";
import { createVaultDigest, formatVaultFile, VAULT_REASON } from "../../manifest/index.ts";
import type { DatabaseManifest, VaultManifest, VaultSecret } from "../../manifest/index.ts";
import type { CaptureContext } from "./context.ts";
import { captureIssue, displayName } from "./issues.ts";
import { openSession, underSnapshot } from "./snapshot.ts";
import type { CaptureIssue } from "./types.ts";

const PATH = ["database", "vault.json"];
const UNREAD = ["permission_denied", "relation_not_found", "statement_failed"];
const VIEW = "vault.decrypted_secrets";
export const VAULT_TABLE = "vault.secrets";

export interface CapturedVault {
  readonly vault?: VaultManifest;
  readonly issues: readonly CaptureIssue[];
}

/** The ciphertext is no secret that comes back: said aloud, also where it is in the snapshot. */
export function leftOutOfVault(
  relations: readonly { readonly schema: string; readonly name: string }[],
  vault: VaultManifest | undefined,
): DatabaseManifest["leftOut"] {
  const hasVault = relations.some((relation) => displayName(relation) === VAULT_TABLE);
  return hasVault && vault === undefined ? [{ object: VAULT_TABLE, reason: VAULT_REASON }] : [];
}

/** Under the capture's snapshot. A value goes into the repository alone: never into an error or a log. */
export async function captureVault(context: CaptureContext): Promise<CapturedVault> {
  if (context.options.vault === undefined) return { issues: [] };
  let secrets: readonly VaultSecret[];
  try {
    secrets = await readSecrets(context);
  } catch (thrown) {
    const error = toAppError(thrown);
    if (!UNREAD.some((code) => error.code === `postgres.${code}`)) throw error;
    return { issues: [captureIssue("vault_unread", VIEW, error.message)] };
  }
  const closed = secrets.filter(({ secret }) => typeof secret !== "string");
  if (closed.length > 0) {
    const names = closed.map(({ id, name }) => name ?? id).join(", ");
    return { issues: [captureIssue("vault_unread", VIEW, `Vault does not open ${names}`)] };
  }
  const saved = await context.writer.saveFile(PATH, formatVaultFile(secrets), {
    kind: "file",
    modifiedAt: context.takenAt,
    mode: 0o600,
  });
  const digest = createVaultDigest(context.options.rowHashKey);
  return {
    vault: {
      file: { path: PATH.join("/"), sizeBytes: saved.sizeBytes, sha256: saved.sha256 },
      secrets: secrets.map(({ id, name, secret }) => ({
        id,
        ...(name === null ? {} : { name }),
        digest: digest(id, secret),
      })),
    },
    issues: [],
  };
}

async function readSecrets(context: CaptureContext): Promise<readonly VaultSecret[]> {
  await using session = await openSession(context.session, "vault");
  return await underSnapshot(session, context.snapshot.id, () =>
    session.query<VaultSecret & Record<string, unknown>>(
      `SELECT id::text AS id, name, coalesce(description, '') AS description, decrypted_secret AS secret
         FROM vault.decrypted_secrets ORDER BY id`,
    ),
  );
}
