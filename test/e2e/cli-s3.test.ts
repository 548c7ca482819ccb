import { readFile, writeFile } from "node:fs/promises";
import { HeadObjectCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BULK_CLASS, startCeph } from "../support/ceph.ts";
import type { Ceph } from "../support/ceph.ts";
import { createCliBench } from "../support/cli.ts";
import type { CliBench } from "../support/cli.ts";
import { startCluster } from "../support/cluster.ts";
import type { Cluster } from "../support/cluster.ts";
import { differencesBetween } from "../support/compare.ts";
import { startMarketplace } from "../support/marketplace.ts";
import type { Marketplace } from "../support/marketplace.ts";

/** The main job over TLS into a bucket, its packs in a cheaper class: each test goes on where the one before ended. */
let ceph: Ceph;
let bucket: string;
let source: Marketplace;
let target: Cluster;
let bench: CliBench;

beforeAll(async () => {
  [ceph, source, target] = await Promise.all([
    startCeph(),
    startMarketplace({ scale: 0.01 }),
    startCluster(),
  ]);
  bucket = await ceph.createBucket();
  bench = await createCliBench({
    DATABASE_URL: source.backupUrl,
    TARGET_URL: target.url("restored"),
    ACCESS_KEY: ceph.owner.accessKey,
    SECRET_KEY: ceph.owner.secretKey,
  });
  await writeFile(bench.path("ca.pem"), ceph.certificates.authority);
  await writeFile(bench.path("sparekeep.yaml"), policyOf(`s3:${ceph.tlsEndpoint}/${bucket}/shop`));
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await Promise.all([target, source, ceph].map((started) => started[Symbol.asyncDispose]()));
});

function policyOf(url: string): string {
  return `sparekeep: 1
name: shop
sources:
  database: { kind: postgres, connection: { env: DATABASE_URL } }
destinations:
  bucket:
    url: ${url}
    password: { file: ./password }
    credentials: { access_key: { env: ACCESS_KEY }, secret_key: { env: SECRET_KEY } }
    storage_class: ${BULK_CLASS}
    tls: { min: "1.3", ca: ./ca.pem }
plans:
  nightly: { source: database, capture: everything, to: bucket }
`;
}

test("init, doctor and backup", async () => {
  const made = await bench.json(["init", "--generate-password"]);
  expect(made).toMatchObject({ code: 0, document: { destinations: [{ created: true }] } });
  expect((await bench.json(["doctor"])).document).toMatchObject({ outcome: "ok" });
  const backup = await bench.json(["backup"]);
  expect(backup).toMatchObject({
    code: 0,
    stderr: "",
    document: { outcome: "complete", connection: { tls: ["TLSv1.3"], plain: false } },
  });
});

test("data packs alone lie in the cheaper class", async () => {
  const list = new ListObjectsV2Command({ Bucket: bucket });
  const keys = (await ceph.admin.send(list)).Contents?.map(({ Key }) => Key ?? "") ?? [];
  const bulk = new Set<string>();
  const hot = new Set<string>();
  for (const key of keys) {
    const head = await ceph.admin.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
    (head.StorageClass === BULK_CLASS ? bulk : hot).add(key.split("/")[1] ?? "");
  }
  expect([...bulk]).toEqual(["data"]);
  // Packs of trees lie in data/ too, and stay hot; records lie under sparekeep/.
  expect([...hot].sort()).toEqual(["config", "data", "index", "keys", "snapshots", "sparekeep"]);
});

test("check reads every byte, and the database comes back as it was", async () => {
  const { document } = await bench.json(["check", "--read-data"]);
  expect(document).toMatchObject({ outcome: "clean", findings: [] });
  const told = await bench.run(["check", "--verbose"]);
  expect(told.stdout).toContain("  connection to the store: TLSv1.3\n");
  const into = ["restore", "latest", "--to-env", "TARGET_URL", "--create", "--yes"];
  const restored = await bench.json(into);
  expect(restored).toMatchObject({ code: 0, document: { outcome: "complete", issues: [] } });
  const differences = await differencesBetween(
    { url: source.cluster.url(source.database) },
    { url: target.url("restored"), ignoreRoles: [target.superuser] },
  );
  const withheld = /^role \w+: (superuser|replication): true became false$/;
  expect(differences.filter((line) => !withheld.test(line))).toEqual([]);
});

test("what is set up wrongly is told in two lines, without the keys", async () => {
  const env = { SECRET_KEY: "not-the-secret" };
  const result = await bench.run(["snapshots"], { env });
  expect(result.code).toBe(1);
  expect(result.stderr).toMatch(/^error: access key that the server of bucket .* does not accept/);
  expect(result.stderr).toContain("fix: Correct access_key and secret_key");
  await writeFile(bench.path("other.yaml"), policyOf(`s3:${ceph.tlsEndpoint}/no-such-bucket`));
  const missing = await bench.run(["snapshots", "--policy", "other.yaml"]);
  expect(missing).toMatchObject({ code: 2, stdout: "" });
  expect(missing.stderr).toMatch(/^error: no bucket no-such-bucket\n {2}fix: /);
  const log = await readFile(`${bench.stateFolder}/shop/audit.jsonl`, "utf8");
  expect(log + result.stderr).not.toContain(ceph.owner.secretKey);
});
