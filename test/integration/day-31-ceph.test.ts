import { randomBytes } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { DeleteObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/kernel/index.ts";
import { objectStoreError } from "../../src/objectstore/index.ts";
import { startCeph } from "../support/ceph.ts";
import type { Ceph } from "../support/ceph.ts";
import { backUpNaively, backUpWithLock, day31 } from "../support/day-31.ts";
import type { BackUpLocked, Day31Result } from "../support/day-31.ts";
import { openS3 } from "../support/s3-store.ts";

/**
 * Engine trap 18 on a server that holds locks by its own clock: a day of the story is two seconds, so that the
 * first locks end while backups go on. Both stories wait at once.
 */
const DAY_MS = 2_000;
const DAYS = 9;
const LOCK_DAYS = 6;

let ceph: Ceph;
beforeAll(async () => {
  ceph = await startCeph();
});
afterAll(() => ceph[Symbol.asyncDispose]());

async function story(backUpDaily: BackUpLocked): Promise<Day31Result> {
  const bucket = await ceph.createBucket({ locks: true });
  const store = await openS3(`s3:${ceph.endpoint}/${bucket}/repo`, { user: ceph.owner });
  let day = 0;
  const startedMs = Date.now();
  return day31({
    store,
    deleteVersion: async (key, version) => {
      try {
        const address = { Bucket: bucket, Key: `repo/${key}`, VersionId: version };
        await ceph.admin.send(new DeleteObjectCommand(address));
      } catch (thrown) {
        throw objectStoreError("denied", { message: "denied", cause: thrown });
      }
    },
    clock: systemClock,
    random: randomBytes,
    storeTime: () => new Date(),
    nextDay: async () => {
      day += 1;
      await setTimeout(Math.max(0, startedMs + day * DAY_MS - Date.now()));
    },
    dayMs: DAY_MS,
    days: DAYS,
    lockDays: LOCK_DAYS,
    backUp: backUpDaily,
  });
}

describe.concurrent("on Ceph", () => {
  test("points that claim a lock come back", async () => {
    const result = await story(backUpWithLock);
    expect(result.broken).toEqual([]);
    expect(result.claimed).toBeGreaterThan(2);
    expect(result.deniedVersions).toBeGreaterThan(10);
  });

  test("a lock on what was written alone does not hold", async () => {
    const result = await story(backUpNaively);
    expect(result.claimed).toBeGreaterThan(2);
    expect(result.broken.length).toBeGreaterThan(2);
  });
});
