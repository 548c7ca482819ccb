import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { Secret, systemClock } from "../../src/kernel/index.ts";
import type { Clock } from "../../src/kernel/index.ts";
import { createTemporaryFolder } from "../../src/objectstore/testing/index.ts";
import { backup, dumpDatabase, init, listSnapshots } from "../../src/operation/index.ts";
import type { OperationContext } from "../../src/operation/index.ts";
import { parsePolicy } from "../../src/policy/index.ts";
import type { Policy } from "../../src/policy/index.ts";
import { clientToolFolders, connect } from "../../src/postgres/index.ts";
import {
  createTestDatabase,
  failOnLeakedSessions,
  sharedCluster,
  startCluster,
} from "../support/cluster.ts";
import { operationContext } from "../support/operation-context.ts";
import { startStandby } from "../support/standby.ts";

/** Kindness as a whole run shows it, by its policy. */

afterEach(async () => {
  await failOnLeakedSessions(await sharedCluster());
});

interface Place extends AsyncDisposable {
  readonly policy: Policy;
  readonly context: OperationContext;
}

async function place(url: string, plan: string, clock: Clock = systemClock): Promise<Place> {
  const folder = await createTemporaryFolder();
  const file = (name: string, text: string): Promise<void> =>
    writeFile(join(folder.path, name), text, { mode: 0o600 });
  await file("url", url);
  await file("password", "correct horse battery staple 9812");
  const text = [
    "sparekeep: 1",
    "name: shop",
    "sources: { db: { kind: postgres, connection: { file: url }, limits: { read: 1 MiB/s, lock_patience: 1 second } } }",
    "destinations:",
    "  local: { url: ./repository, password: { file: password } }",
    "  dumps: { url: ./dumps, files: true }",
    `plans: { only: ${plan} }`,
  ].join("\n");
  const context = {
    ...operationContext(join(folder.path, "state")),
    clock,
    toolDirectories: await clientToolFolders(process.env["PATH"]),
  };
  const policy = parsePolicy({ text, file: "p.yaml", directory: folder.path });
  await init(context, { policy, generatePassword: false, allowWeak: false });
  return { policy, context, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

test("a portable dump that gave way begins again, is whole, and says so", async () => {
  await using database = await createTestDatabase({
    script: `CREATE TABLE orders (id int PRIMARY KEY);
      INSERT INTO orders SELECT generate_series(1, 100);
      CREATE TABLE noise AS SELECT md5(i::text) || md5((i + 1)::text) AS noise FROM generate_series(1, 100000) i;`,
  });
  const held = Promise.withResolvers<void>();
  const waits = Promise.withResolvers<void>();
  /** Whoever keeps to the rate waits until it is let go; then there is none any more. */
  const clock: Clock = {
    now: () => systemClock.now(),
    monotonicMs: () => systemClock.monotonicMs(),
    every: (ms, tick) => systemClock.every(ms, tick),
    sleep: async (_ms, signal) => {
      waits.resolve();
      const aborted = new Promise<void>((resolve) => {
        signal?.addEventListener("abort", () => resolve(), { once: true });
      });
      await Promise.race([held.promise, aborted]);
    },
  };
  const plan =
    '{ source: db, capture: pg_dump, encrypt: { passphrase: { file: password } }, to: dumps, name: "shop_{date}.dump.gpg" }';
  await using shop = await place(database.url, plan, clock);
  const running = dumpDatabase(shop.context, { policy: shop.policy });
  await waits.promise;
  const url = new Secret(database.url);
  await using migration = await connect({
    url,
    applicationName: "migration",
    readOnly: false,
    lockTimeoutMs: 0,
  });
  // pg_dump stands still until it is let go, which is after this.
  await migration.query(
    "BEGIN; INSERT INTO public.orders VALUES (0); LOCK TABLE public.orders; COMMIT",
  );
  held.resolve();
  const dumped = await running;
  expect(dumped.notices).toEqual([
    expect.stringMatching(
      /^dump that began again under a new snapshot: session \d+, which has waited/,
    ),
  ]);
  expect(dumped.manifest.tables.find(({ name }) => name === "orders")?.rows).toBe("101");
});

test("a point of a standby is as old as what the standby showed", async () => {
  await using primary = await startCluster({ settings: { synchronous_commit: "on" } });
  await using database = await createTestDatabase({
    cluster: primary,
    script: "CREATE TABLE orders AS SELECT 1 AS a",
  });
  await using standby = await startStandby(primary);
  await standby.caughtUp();
  await standby.pauseReplay();
  await database.query("INSERT INTO orders VALUES (2)");
  await using shop = await place(
    standby.url(database.name),
    "{ source: db, capture: everything, to: local }",
  );
  const result = await backup(shop.context, { policy: shop.policy });
  expect(result).toMatchObject({ outcome: "complete", rows: 1n });
  const [point] = await listSnapshots(shop.context, { policy: shop.policy });
  const time = new Date(point?.time ?? "").getTime();
  expect(time).toBeLessThan(new Date(result.startedAt).getTime());
  await standby.resumeReplay();
  await failOnLeakedSessions(primary);
});
