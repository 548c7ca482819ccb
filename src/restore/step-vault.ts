import { fromHex } from "../kernel/index.ts";
import { createVaultDigest, parseVaultFile } from "../manifest/index.ts";
import type { VaultEntry, VaultManifest, VaultSecret } from "../manifest/index.ts";
import type { Connection } from "../postgres/index.ts";
import { orIssue, rethrowFatal } from "./context.ts";
import type { Work } from "./context.ts";
import { restoreError } from "./errors.ts";
import { inTransaction } from "./ledger.ts";
import { readWhole } from "./snapshot-file.ts";

/**
 * Secrets of Vault, made again under the target's own root key, each read back through the target's Vault and compared
 * by its keyed digest. Their ids are new: ids that the application stored as data point nowhere until they are mapped.
 */
export interface NewId {
  /** `vault secret stripe`. */
  readonly object: string;
  readonly from: string;
  readonly to: string;
}

export async function restoreVault(work: Work): Promise<readonly NewId[]> {
  const { vault } = work.options.manifest.database;
  if (vault === undefined || vault.secrets.length === 0) return [];
  const lacking = await reasonAgainst(work.admin, work.platform !== undefined);
  if (lacking !== undefined) {
    for (const entry of vault.secrets) fail(work, entry, lacking);
    return [];
  }
  try {
    const file = await readWhole(work.options, vault.file, work.signal);
    await createMissing(work, vault, parseVaultFile(file));
    return await compare(work, vault);
  } catch (thrown) {
    const { message } = rethrowFatal(thrown);
    for (const entry of vault.secrets) fail(work, entry, message);
    return [];
  }
}

/**
 * What is called here must be the server's own: a function of that name that the source defined would be run by the
 * login (R4). On a platform's project it is the platform's, else it has to be the extension's.
 */
async function reasonAgainst(admin: Connection, ofPlatform: boolean): Promise<string | undefined> {
  const [row] = await admin.query<{ found: boolean; extension: boolean }>(
    `SELECT p.oid IS NOT NULL AS found, EXISTS (
         SELECT FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
          WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' AND e.extname = 'supabase_vault') AS extension
       FROM (SELECT to_regprocedure('vault.create_secret(text,text,text,uuid)') AS oid) AS p`,
  );
  if (row?.found !== true) return "the target has no Vault";
  return ofPlatform || row.extension
    ? undefined
    : "the target's vault.create_secret is no extension's";
}

function nameOf({ name, id }: Pick<VaultEntry, "name" | "id">): string {
  return `vault secret ${name ?? id}`;
}

function fail(work: Work, entry: VaultEntry, message: string): void {
  work.issues.push({
    code: "vault_secret_failed",
    object: nameOf(entry),
    message,
    hint: `Make it again with vault.create_secret; its value is in the snapshot's database/vault.json.`,
  });
}

interface Opened extends Record<string, unknown> {
  readonly id: string;
  readonly name: string | null;
  readonly secret: string | null;
}

async function readOpened(admin: Connection): Promise<readonly Opened[]> {
  return await admin.query<Opened>(
    "SELECT id::text AS id, name, decrypted_secret AS secret FROM vault.decrypted_secrets ORDER BY id",
  );
}

/** One that is there under its name stays as it is: the comparison says whether it is the same. */
async function createMissing(
  work: Work,
  vault: VaultManifest,
  secrets: readonly VaultSecret[],
): Promise<void> {
  const pairs = pairUp(work, vault, await readOpened(work.admin));
  for (const entry of vault.secrets) {
    if (pairs.has(entry.id)) continue;
    const secret = secrets.find(({ id }) => id === entry.id);
    const issue = { code: "vault_secret_failed", object: nameOf(entry) };
    await orIssue(work, issue, () =>
      inTransaction(work.admin, async () => {
        if (secret === undefined) {
          throw restoreError("object_refused", { message: "its file does not hold it" });
        }
        await work.admin.query("SELECT vault.create_secret($1, $2, $3)", [
          secret.secret,
          secret.name,
          secret.description,
        ]);
      }),
    );
  }
}

/** Of each secret of the snapshot the one at the target: by its name, or where it has none by its value. */
function pairUp(
  work: Work,
  vault: VaultManifest,
  opened: readonly Opened[],
): ReadonlyMap<string, Opened> {
  const isSame = sameness(work);
  const taken = new Set<string>();
  const pairs = new Map<string, Opened>();
  for (const entry of vault.secrets) {
    const found = opened.find((one) => {
      if (taken.has(one.id)) return false;
      return entry.name === undefined
        ? one.name === null && isSame(entry, one)
        : one.name === entry.name;
    });
    if (found === undefined) continue;
    taken.add(found.id);
    pairs.set(entry.id, found);
  }
  return pairs;
}

function sameness(work: Work): (entry: VaultEntry, one: Opened) => boolean {
  const digest = createVaultDigest(fromHex(work.options.manifest.rowHashKey));
  return (entry, { secret }) => secret !== null && digest(entry.id, secret) === entry.digest;
}

async function compare(work: Work, vault: VaultManifest): Promise<readonly NewId[]> {
  const pairs = pairUp(work, vault, await readOpened(work.admin));
  const isSame = sameness(work);
  return vault.secrets.flatMap((entry) => {
    const found = pairs.get(entry.id);
    const object = nameOf(entry);
    if (found === undefined || !isSame(entry, found)) {
      const message =
        found === undefined
          ? "is not there"
          : "opens at the target to another value than was saved";
      work.issues.push({ code: "vault_secret_differs", object, message });
      return [];
    }
    return [{ object, from: entry.id, to: found.id }];
  });
}
