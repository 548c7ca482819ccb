import { rm } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { parseManifest, formatManifest } from "../../src/manifest/index.ts";
import { planRestore } from "../../src/restore/index.ts";
import { startCluster } from "../support/cluster.ts";
import type { Cluster } from "../support/cluster.ts";
import { differencesBetween } from "../support/compare.ts";
import { startMarketplace } from "../support/marketplace.ts";
import type { Marketplace } from "../support/marketplace.ts";
import { runRestoreScript, writeSnapshotFolder } from "../support/recovered-folder.ts";
import { captureForRestore, restoreOptions } from "../support/restore.ts";

async function differences(
  source: Marketplace,
  target: Cluster,
  database: string,
): Promise<string[]> {
  const ignoreRoles = [source.cluster.superuser, target.superuser];
  const found = await differencesBetween(
    { url: source.cluster.url(source.database), ignoreRoles },
    { url: target.url(database), ignoreRoles },
  );
  return found.filter(isOurs);
}

/** The server's own, not the database's: constructors of range types belong to the bootstrap superuser. */
function isOurs(difference: string): boolean {
  return (
    !/^function public\.year_(multi)?range\(/.test(difference) &&
    // Withheld, and said so in the plan.
    !/^role .*: replication: true became false$/.test(difference)
  );
}

describe("the marketplace", () => {
  test("comes back as it was", async () => {
    await using source = await startMarketplace();
    const made = await captureForRestore(source.backupUrl);
    expect(parseManifest(formatManifest(made.manifest))).toEqual(made.manifest);
    await using target = await startCluster();
    const plan = await planRestore(restoreOptions(made, target.url("recovered")));
    const result = await plan.execute();
    expect(result.issues).toEqual([]);
    expect(result.outcome).toBe("complete");
    expect(await differences(source, target, "recovered")).toEqual([]);
  });

  test("comes back as it was by psql and pg_restore alone", async () => {
    await using source = await startMarketplace();
    const made = await captureForRestore(source.backupUrl);
    const folder = await writeSnapshotFolder(made);
    await using target = await startCluster();
    await target.createDatabase("another");
    await target.createDatabase("recovered");
    const ended = runRestoreScript(folder, target, "recovered");
    expect(ended).toEqual({ status: 0, output: expect.not.stringMatching(/error|warning/i) });
    expect(await differences(source, target, "recovered")).toEqual([]);
    await rm(folder, { recursive: true });
  });
});
