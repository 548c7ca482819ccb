import { createHash, randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { systemClock } from "../../src/kernel/index.ts";
import { openObjectStore } from "../../src/objectstore/index.ts";
import type { ObjectStore, StoreLimits } from "../../src/objectstore/index.ts";
import { codeOf, createSleptClock, patternBytes } from "../../src/objectstore/testing/index.ts";
import { startBrokenProxy } from "../support/broken-proxy.ts";
import { startRest } from "../support/rest-servers.ts";

/** Limits as openObjectStore wires them, on the line: the clock passes only by the waiting that they cause. */

const BODY = patternBytes(400_000, 5);
const ID = createHash("sha256").update(BODY).digest("hex");
const PACK = `data/${ID.slice(0, 2)}/${ID}`;

async function opened(
  url: string,
  limits: StoreLimits,
): Promise<{ store: ObjectStore; passed: () => number }> {
  const slept = createSleptClock();
  const store = await openObjectStore(`rest:${url}limits/`, {
    clock: { ...systemClock, ...slept },
    random: (size) => randomBytes(size),
    settings: { limits },
  });
  return { store, passed: () => slept.passed() };
}

function expectAbout(ms: number, leastMs: number): void {
  expect(ms).toBeGreaterThanOrEqual(leastMs);
  expect(ms).toBeLessThan(leastMs * 1.1);
}

test("bytes up and down wait for their turn while they are sent and received", async () => {
  await using server = await startRest("rest-server");
  const up = await opened(server.url, { uploadBytesPerSecond: 100_000 });
  await up.store.put(PACK, [BODY], { ifAbsent: true });
  // 400,000 bytes, the first 100,000 of them as the burst; each wait is rounded up to a millisecond.
  expectAbout(up.passed(), 3_000);
  const before = up.passed();
  expect(Buffer.compare(await up.store.get(PACK), BODY)).toBe(0);
  expect(up.passed()).toBe(before);

  const down = await opened(server.url, { downloadBytesPerSecond: 50_000 });
  expect(Buffer.compare(await down.store.get(PACK), BODY)).toBe(0);
  expectAbout(down.passed(), 7_000);
});

test("every request counts, also those that one call makes on its way", async () => {
  await using server = await startRest("rest-server");
  await using proxy = await startBrokenProxy(server.url);
  const { store, passed } = await opened(proxy.url, { requestsPerSecond: 1 });
  await store.put(PACK, [BODY], { ifAbsent: true });
  expect(proxy.requests).toHaveLength(3);
  expect(passed()).toBe(2_000);
});

test("an upload that is held is aborted at once", async () => {
  await using server = await startRest("rest-server");
  const never = { ...systemClock, sleep: held };
  const control = new AbortController();
  const store = await openObjectStore(`rest:${server.url}limits/`, {
    clock: never,
    random: (size) => randomBytes(size),
    settings: { limits: { uploadBytesPerSecond: 1_000 } },
  });
  const put = codeOf(() => store.put(PACK, [BODY], { ifAbsent: true, signal: control.signal }));
  await waiting.promise;
  control.abort();
  expect(await put).toBe("kernel.cancelled");
  expect(await store.stat(PACK)).toBeUndefined();
});

const waiting = Promise.withResolvers<void>();

/** Sleeps for ever, unless aborted. */
function held(_ms: number, signal?: AbortSignal): Promise<void> {
  waiting.resolve();
  return new Promise((_resolve, reject) => {
    signal?.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
  });
}
