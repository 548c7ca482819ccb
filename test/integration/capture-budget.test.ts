import { afterEach, expect, test } from "vitest";
import { Secret, toAppError } from "../../src/kernel/index.ts";
import type { AppError } from "../../src/kernel/index.ts";
import { connect } from "../../src/postgres/index.ts";
import type { Connection } from "../../src/postgres/index.ts";
import { captureToMemory } from "../support/capture.ts";
import { createTestDatabase, failOnLeakedSessions, sharedCluster } from "../support/cluster.ts";
import type { TestDatabase } from "../support/cluster.ts";

afterEach(async () => {
  await failOnLeakedSessions(await sharedCluster());
});

const SIXTY_TRANSACTIONS =
  "DO $$ BEGIN FOR i IN 1..60 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$";
const ROOM = { durationMs: 3_600_000, xminAge: 1_000_000, lookEveryMs: 20 };

/** Holds a capture up until something ends it. */
async function lockHeld(database: TestDatabase): Promise<Connection> {
  const other = await open(database);
  await other.query("BEGIN");
  await other.query("LOCK TABLE public.held");
  return other;
}

function open(database: TestDatabase): Promise<Connection> {
  const url = new Secret(database.url);
  return connect({ url, applicationName: "sparekeep test", readOnly: false });
}

async function failure(work: Promise<unknown>): Promise<AppError> {
  return await work.then(
    () => {
      throw new Error("expected an error");
    },
    (error: unknown) => toAppError(error),
  );
}

const PATIENT = { lockTimeoutMs: 120_000 };
const SCRIPT = "CREATE TABLE held AS SELECT 1 AS a";

test("a snapshot that holds VACUUM back too far ends the capture", async () => {
  await using database = await createTestDatabase({ script: SCRIPT });
  await using _held = await lockHeld(database);
  await using busy = await open(database);
  const ended = failure(
    captureToMemory(database.url, { ...PATIENT, budget: { ...ROOM, xminAge: 50 } }),
  );
  await expect
    .poll(() => busy.query("SELECT 1 FROM pg_locks WHERE NOT granted"), { timeout: 30_000 })
    .toHaveLength(1);
  await busy.query(SIXTY_TRANSACTIONS);
  const error = await ended;
  expect(error).toMatchObject({ code: "source.budget_spent", kind: "exhausted" });
  expect(error.message).toMatch(/^snapshot that holds VACUUM back by \d+ transactions$/);
});

test("a snapshot that is read for too long ends the capture", async () => {
  await using database = await createTestDatabase({ script: SCRIPT });
  await using _held = await lockHeld(database);
  const budget = { ...ROOM, durationMs: 1 };
  const error = await failure(captureToMemory(database.url, { ...PATIENT, budget }));
  expect(error).toMatchObject({ code: "source.budget_spent", kind: "exhausted" });
  expect(error.message).toBe("snapshot that was read for more than 1 ms");
});

test("a capture within its budget is looked at and goes on", async () => {
  await using database = await createTestDatabase({ script: SCRIPT });
  const capture = await captureToMemory(database.url, { budget: { ...ROOM, lookEveryMs: 1 } });
  expect(capture.issues).toEqual([]);
});
