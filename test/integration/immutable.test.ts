import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Secret, silentLog, systemClock } from "../../src/kernel/index.ts";
import { createMemoryStore } from "../../src/objectstore/index.ts";
import {
  backup,
  checkRepository,
  init,
  listSnapshots,
  planDatabaseRestore,
  planRecoveryOfVersions,
} from "../../src/operation/index.ts";
import type { OperationContext } from "../../src/operation/index.ts";
import { parsePolicy } from "../../src/policy/index.ts";
import type { Policy } from "../../src/policy/index.ts";
import { clientToolFolders } from "../../src/postgres/index.ts";
import { createTestDatabase } from "../support/cluster.ts";

const DAY_MS = 86_400_000;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sparekeep-immutable-"));
});
afterAll(() => rm(folder, { recursive: true }));

function policyOf(): Policy {
  const text = `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: DB } } }
destinations:
  bucket: { url: "s3://shop/repo", password: { env: KEY }, lock: { mode: compliance, for: 30 days } }
plans: { full: { source: db, capture: everything, to: bucket } }
`;
  return parsePolicy({ text, file: "p.yaml", directory: folder });
}

/** From the policy's `lock:` to a database that is rebuilt from the repository as it was before an attack. */
test("a locked backup outlives an intruder: restored as of before, then put back", async () => {
  await using database = await createTestDatabase({
    script:
      "CREATE TABLE part (id int PRIMARY KEY); INSERT INTO part SELECT generate_series(1, 500)",
  });
  let nowMs = Date.now();
  const store = createMemoryStore({ clock: { now: () => new Date(nowMs) }, objectLock: true });
  const context: OperationContext = {
    clock: systemClock,
    random: (size) => randomBytes(size),
    log: silentLog,
    signal: new AbortController().signal,
    actor: "ann",
    hostname: "web1",
    pid: process.pid,
    env: (name) => ({ DB: database.url, KEY: "vast orbit 93 quilt, none of the others" })[name],
    toolDirectories: await clientToolFolders(process.env["PATH"]),
    stateDirectory: join(folder, "state"),
    version: "0.0.0-test",
    keyCost: { N: 1024, r: 8, p: 1 },
    storeAt: () => store,
  };
  const policy = policyOf();
  await init(context, { policy, generatePassword: false });
  const stored = await backup(context, { policy });
  const until = Math.ceil((nowMs + 30 * DAY_MS) / 1_000) * 1_000;
  expect(stored.lockedUntil).toBe(new Date(until).toISOString());
  const [line] = await listSnapshots(context, { policy, locks: true });
  expect(line?.lock).toEqual({ mode: "compliance", until: stored.lockedUntil });

  nowMs += 10 * DAY_MS;
  const asOf = new Date(nowMs);
  nowMs += 1;
  let denied = 0;
  for await (const { key, version } of store.versions?.list("") ?? []) {
    const bypassGovernance = true;
    await store.deleteVersion(key, version, { bypassGovernance }).catch(() => (denied += 1));
  }
  for await (const { key } of store.list("")) await store.remove(key);
  expect(denied).toBeGreaterThan(4);
  nowMs += 1;
  await expect(listSnapshots(context, { policy })).rejects.toMatchObject({
    code: "repository.not_found",
  });
  expect(await checkRepository(context, { policy, readData: true, asOf })).toMatchObject({
    outcome: "clean",
    snapshots: 1,
  });

  const target = database.cluster.url(`restored_${process.pid}`);
  const planned = await planDatabaseRestore(context, {
    policy,
    snapshot: "latest",
    target: new Secret(target),
    create: true,
    trustSource: true,
    asOf,
  });
  expect(await planned.execute()).toMatchObject({ outcome: "complete", verified: { rows: 500n } });

  const recovery = await planRecoveryOfVersions(context, { policy, asOf, removeAdded: false });
  expect(await recovery.execute()).toMatchObject({ outcome: "complete" });
  expect(await listSnapshots(context, { policy })).toHaveLength(1);
  // What was put back carries no lock of its own until the next backup locks what it needs.
  expect((await backup(context, { policy })).lockedUntil).toBeDefined();
  const after = await listSnapshots(context, { policy, locks: true });
  expect(after.at(-1)?.lock).not.toBeNull();
});
