import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { planRestore } from "../../src/restore/index.ts";
import type { RestoreResult } from "../../src/restore/index.ts";
import { createTestDatabase, startCluster } from "../support/cluster.ts";
import type { Cluster, TestDatabase } from "../support/cluster.ts";
import { differencesBetween } from "../support/compare.ts";
import { oddCatalog } from "../support/odd-catalog/index.ts";
import { captureForRestore, restoreOptions } from "../support/restore.ts";
import type { Made } from "../support/restore.ts";

function classes({ catalog }: RestoreResult): string[] {
  expect(catalog.compared).toBe(true);
  return catalog.differences
    .map((one) => `${one.class} ${one.object.replace(/boot_\w+/, "boot")} ${one.message}`)
    .toSorted();
}

/** The source's bootstrap superuser is an ordinary role here, beside the target's own. */
const OF_THE_BOOTSTRAP = [
  "platform role boot is there, and was not",
  'withheld role boot replication: "true" became "false"',
  'withheld role boot superuser: "true" became "false"',
];

describe("a database of odd objects", () => {
  let sourceCluster: Cluster;
  let source: TestDatabase;
  let made: Made;

  beforeAll(async () => {
    sourceCluster = await startCluster();
    source = await createTestDatabase({ cluster: sourceCluster, script: oddCatalog() });
    made = await captureForRestore(source.url);
  });

  afterAll(() => sourceCluster[Symbol.asyncDispose]());

  async function differences(target: Cluster, database: string): Promise<string[]> {
    const ignoreRoles = [sourceCluster.superuser, target.superuser];
    return differencesBetween(
      { url: source.url, ignoreRoles },
      { url: target.url(database), ignoreRoles },
    );
  }

  test("comes back as it was, built by a role that is no superuser", async () => {
    await using target = await startCluster();
    const plan = await planRestore(restoreOptions(made, target.url("back")));
    const result = await plan.execute();
    expect(result.issues).toEqual([]);
    expect(classes(result)).toEqual(OF_THE_BOOTSTRAP);
    expect(await differences(target, "back")).toEqual([]);
  });

  test("comes back as it was, built by the bootstrap superuser of a target that trusts it", async () => {
    await using target = await startCluster();
    const options = restoreOptions(made, target.url("back"), { trustSource: true });
    const result = await (await planRestore(options)).execute();
    expect(result.issues).toEqual([]);
    expect(await differences(target, "back")).toEqual([]);
  });

  test("comes back as it was for an admin who is no superuser", async () => {
    await using target = await startCluster();
    await target.query("CREATE ROLE admin LOGIN CREATEDB CREATEROLE BYPASSRLS PASSWORD 'x'");
    const url = target.url("back", { name: "admin", password: "x" });
    const result = await (await planRestore(restoreOptions(made, url))).execute();
    expect(result.issues).toEqual([]);
    // The database stays with whoever made it: only a member of another role may give it to that one.
    const found = await differences(target, "back");
    expect(found.map((one) => one.replaceAll(sourceCluster.superuser, "boot"))).toEqual([
      'database this database: owner: "boot" became "admin"',
      expect.stringMatching(/^database this database: rights: /),
      "role admin: exists: missing became present",
    ]);
  });
});
