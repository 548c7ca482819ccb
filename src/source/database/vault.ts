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
export async function captureVault(
  context: CaptureContext,
  ofPlatform: boolean,
): Promise<CapturedVault> {
  if (context.options.vault === undefined) return { issues: [] };
  let secrets: readonly VaultSecret[];
  try {
    const found = await readSecrets(context, ofPlatform);
    if (found === undefined) {
      return {
        issues: [captureIssue("vault_unread", VIEW, "it is not Vault's own, or not there")],
      };
    }
    secrets = found;
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

const OWN = `
SELECT EXISTS (SELECT FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
   WHERE d.classid = 'pg_class'::regclass AND d.objid = to_regclass('vault.decrypted_secrets') AND d.deptype = 'e'
     AND e.extname = 'supabase_vault') AS extension,
  EXISTS (SELECT FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner
   WHERE c.oid = to_regclass('vault.decrypted_secrets') AND r.rolsuper) AS superusers`;

/** `undefined` where the view is anybody's: to read it would run what its owner wrote, with our rights. */
async function readSecrets(
  context: CaptureContext,
  ofPlatform: boolean,
): Promise<readonly VaultSecret[] | undefined> {
  await using session = await openSession(context.session, "vault");
  return await underSnapshot(session, context.snapshot.id, async () => {
    const [own] = await session.query<{ extension: boolean; superusers: boolean }>(OWN);
    if (own?.extension !== true && !(ofPlatform && own?.superusers === true)) return undefined;
    return await session.query<VaultSecret & Record<string, unknown>>(
      `SELECT id::text AS id, name, coalesce(description, '') AS description, decrypted_secret AS secret
         FROM vault.decrypted_secrets ORDER BY id`,
    );
  });
}
