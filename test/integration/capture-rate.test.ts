import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { MIB, Secret, silentLog, systemClock } from "../../src/kernel/index.ts";
import type { Clock } from "../../src/kernel/index.ts";
import { createTemporaryFolder } from "../../src/objectstore/testing/index.ts";
import { backup, init } from "../../src/operation/index.ts";
import { parsePolicy } from "../../src/policy/index.ts";
import { clientToolFolders } from "../../src/postgres/index.ts";
import { captureDump } from "../../src/source/index.ts";
import { captureToMemory, testTools } from "../support/capture.ts";
import { createTestDatabase, failOnLeakedSessions, sharedCluster } from "../support/cluster.ts";
import type { TestDatabase } from "../support/cluster.ts";
import { operationContext } from "../support/operation-context.ts";

afterEach(async () => {
  await failOnLeakedSessions(await sharedCluster());
});

const ROWS = 60_000;
const ROW_BYTES = 1_000;
const SCRIPT = `
  CREATE TABLE large AS SELECT repeat('x', ${ROW_BYTES - 1}) AS x FROM generate_series(1, ${ROWS}) i;
  CREATE TABLE other AS TABLE large;`;
/** Text that pg_dump cannot shrink away. */
const NOISE =
  "CREATE TABLE noise AS SELECT md5(i::text) AS noise FROM generate_series(1, 100000) i";
/** What may lie between the server and the rows that were let through: both sides' sockets, and our queue. */
const ON_THE_WAY = 24 * MIB;

/** Stands still until it is let go; from then on a sleep takes no time, and is counted. */
class HeldClock implements Clock {
  readonly #gate = Promise.withResolvers<void>();
  readonly #waiting = Promise.withResolvers<void>();
  #nowMs = 0;

  now(): Date {
    return systemClock.now();
  }

  every(ms: number, tick: () => void): Disposable {
    return systemClock.every(ms, tick);
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  async sleep(ms: number): Promise<void> {
    this.#waiting.resolve();
    await this.#gate.promise;
    this.#nowMs += ms;
  }

  /** Somebody has read as much as may be. */
  waiting(): Promise<void> {
    return this.#waiting.promise;
  }

  letGo(): void {
    this.#gate.resolve();
  }
}

interface Copying {
  readonly bytes: number;
  readonly waits: string | null;
}

async function copying(database: TestDatabase): Promise<Copying[]> {
  const rows = await database.query<{ bytes: string; waits: string | null }>(
    `SELECT p.bytes_processed::text AS bytes, a.wait_event AS waits
       FROM pg_stat_progress_copy p JOIN pg_stat_activity a USING (pid)
      WHERE a.application_name = 'sparekeep copy' AND p.datname = current_database() ORDER BY pid`,
  );
  return rows.map(({ bytes, waits }) => ({ bytes: Number(bytes), waits }));
}

/** The same several times in a row, all of them waiting for us to read. */
async function stalled(database: TestDatabase, sessions: number): Promise<Copying[]> {
  let [last, times] = ["", 0];
  let seen: Copying[] = [];
  await expect
    .poll(
      async () => {
        seen = await copying(database);
        const text = JSON.stringify(seen);
        times = text === last ? times + 1 : 0;
        last = text;
        const waits = seen.length === sessions && seen.every((one) => one.waits === "ClientWrite");
        return waits && times >= 5;
      },
      { timeout: 60_000, interval: 100 },
    )
    .toBe(true);
  return seen;
}

describe("a rate of reading", () => {
  test("stops the server itself, whose rows nobody gathers", async () => {
    await using database = await createTestDatabase({ script: SCRIPT });
    const clock = new HeldClock();
    const running = captureToMemory(database.url, {
      clock,
      readBytesPerSecond: MIB,
      connections: 2,
      splitBytes: 1024 * MIB,
    });
    await clock.waiting();
    const seen = await stalled(database, 2);
    for (const { bytes } of seen) {
      expect(bytes).toBeGreaterThan(0);
      expect(bytes).toBeLessThan(ON_THE_WAY);
    }
    clock.letGo();
    const capture = await running;
    expect(capture.issues).toEqual([]);
    expect(capture.database.tables.map(({ rows }) => rows)).toEqual([String(ROWS), String(ROWS)]);
    // Both tables, at one rate; a second's worth may be ahead.
    const totalBytes = 2 * ROWS * ROW_BYTES;
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual((totalBytes / MIB - 1) * 1000);
  });

  test("holds for large objects, too", async () => {
    await using database = await createTestDatabase({
      script: `SELECT lo_from_bytea(0, decode(repeat('ab', ${4 * MIB}), 'hex')) FROM generate_series(1, 2)`,
    });
    const clock = new HeldClock();
    clock.letGo();
    const capture = await captureToMemory(database.url, { clock, readBytesPerSecond: MIB });
    expect(capture.database.largeObjects.map(({ sizeBytes }) => sizeBytes)).toEqual([
      4 * MIB,
      4 * MIB,
    ]);
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(7_000);
  });

  test("holds for what pg_dump writes, too", async () => {
    await using database = await createTestDatabase({ script: NOISE });
    const clock = new HeldClock();
    clock.letGo();
    const dump = await captureDump({
      url: new Secret(database.url),
      tools: await testTools(),
      keyring: { encrypt: (pieces) => pieces },
      for: { passphrase: new Secret("unused") },
      write: async () => undefined,
      clock,
      log: silentLog,
      readBytesPerSecond: 64 * 1024,
      signal: new AbortController().signal,
    });
    const seconds = dump.plaintext.sizeBytes / (64 * 1024);
    expect(seconds).toBeGreaterThan(10);
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual((seconds - 1) * 1000);
  });

  test("of the policy's source holds for a run of its plan", async () => {
    await using database = await createTestDatabase({ script: NOISE });
    await using folder = await createTemporaryFolder();
    const file = (name: string, text: string): Promise<void> =>
      writeFile(join(folder.path, name), text, { mode: 0o600 });
    await file("url", database.url);
    await file("password", "correct horse battery staple 9812");
    const policy = parsePolicy({
      text: [
        "sparekeep: 1",
        "name: shop",
        "sources: { db: { kind: postgres, connection: { file: url }, limits: { read: 64 KiB/s } } }",
        "destinations: { local: { url: ./repository, password: { file: password } } }",
        "plans: { nightly: { source: db, capture: everything, to: local } }",
      ].join("\n"),
      file: "p.yaml",
      directory: folder.path,
    });
    const clock = new HeldClock();
    clock.letGo();
    const context = {
      ...operationContext(join(folder.path, "state")),
      clock,
      toolDirectories: await clientToolFolders(process.env["PATH"]),
    };
    await init(context, { policy, generatePassword: false, allowWeak: false });
    const result = await backup(context, { policy });
    expect(result.outcome).toBe("complete");
    // 33 bytes a row.
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(((100_000 * 33) / (64 * 1024) - 1) * 1000);
  });

  test("the trap: without one the server sends everything", async () => {
    await using database = await createTestDatabase({ script: SCRIPT });
    const clock = new HeldClock();
    await captureToMemory(database.url, { clock });
    expect(clock.monotonicMs()).toBe(0);
  });
});
