import type { Manifest } from "./manifest.ts";
import { renderGuide, renderSchemaGuide } from "./recovery-guide.ts";
import { renderScript } from "./recovery-script.ts";
import {
  renderAnalyze,
  renderCounts,
  renderDatabase,
  renderLargeObjects,
  renderRefresh,
  renderRoleAttributes,
  renderRoles,
  renderSequences,
} from "./recovery-sql.ts";

/**
 * What a snapshot holds so that `restic`, `pg_restore` and `psql` alone bring it back: a guide for people, a script,
 * and the SQL that neither the archive nor the tables have. Pure, from the manifest.
 */

export interface RecoveryFile {
  readonly path: readonly string[];
  readonly text: string;
  readonly mode: number;
}

export interface RecoveryOptions {
  /** The name under which stock restic restores this name (the repository's escapes). */
  readonly storedName: (name: string) => string;
}

export function renderRecoveryFiles(
  manifest: Manifest,
  options: RecoveryOptions,
): readonly RecoveryFile[] {
  const { database } = manifest;
  if (manifest.captures === "schema") {
    return [{ path: ["RECOVERY.md"], text: renderSchemaGuide(manifest), mode: 0o600 }];
  }
  const sql = (name: string, text: string): RecoveryFile => ({
    path: ["database", name],
    text,
    mode: 0o600,
  });
  return [
    { path: ["RECOVERY.md"], text: renderGuide(manifest), mode: 0o600 },
    { path: ["restore.sh"], text: renderScript(manifest, options), mode: 0o700 },
    sql("roles.sql", renderRoles(database)),
    sql("role-attributes.sql", renderRoleAttributes(database)),
    sql("sequences.sql", renderSequences(database)),
    sql("large-objects.sql", renderLargeObjects(database)),
    sql("refresh.sql", renderRefresh(database)),
    sql("database.sql", renderDatabase(database)),
    sql("analyze.sql", renderAnalyze(database)),
    sql("counts.sql", renderCounts(database)),
  ];
}
