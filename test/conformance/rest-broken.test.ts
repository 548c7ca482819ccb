import { createHash, randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { toAppError } from "../../src/kernel/index.ts";
import { withRetry } from "../../src/objectstore/index.ts";
import type { ObjectStore } from "../../src/objectstore/index.ts";
import {
  codeOf,
  createRestStore,
  listKeys,
  patternBytes,
} from "../../src/objectstore/testing/index.ts";
import { startBrokenProxy } from "../support/broken-proxy.ts";
import type { BrokenProxy, ProxiedRequest, WireFault } from "../support/broken-proxy.ts";
import { backUp, createOurs, expectedFiles, openOurs } from "../support/restic-repository.ts";
import { entriesOf } from "../support/restic-files.ts";
import { REST_SERVERS, startRest } from "../support/rest-servers.ts";
import type { RestServer } from "../support/rest-servers.ts";

/** Both servers behind a proxy that breaks their answers. */

const BODY = patternBytes(400_000, 5);
const ID = createHash("sha256").update(BODY).digest("hex");
const PACK = `data/${ID.slice(0, 2)}/${ID}`;
const RANGE = { offset: 10, length: 300_000 };

const servers = new Map<string, RestServer>();
beforeAll(async () => {
  for (const kind of REST_SERVERS) servers.set(kind, await startRest(kind));
});
afterAll(async () => {
  for (const server of servers.values()) await server[Symbol.asyncDispose]();
});

let folders = 0;
interface Broken extends AsyncDisposable {
  readonly proxy: BrokenProxy;
  readonly store: ObjectStore;
  /** The same store, soon tired of waiting. */
  readonly impatient: ObjectStore;
}

async function startBroken(kind: string): Promise<Broken> {
  folders += 1;
  const proxy = await startBrokenProxy(servers.get(kind)?.url ?? "");
  const location = `rest:${proxy.url}broken${folders}/`;
  const store = createRestStore(location);
  const impatient = createRestStore(location, { idleTimeoutMs: 400 });
  return { proxy, store, impatient, [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose]() };
}

function when(
  matches: (request: ProxiedRequest) => boolean,
  fault: WireFault,
): (request: ProxiedRequest) => WireFault | undefined {
  return (request) => (matches(request) ? fault : undefined);
}

/** Without the waiting; the delays that were asked for are kept. */
function retrying(store: ObjectStore, delays: number[] = []): ObjectStore {
  const sleep = async (ms: number): Promise<void> => void delays.push(ms);
  const clock = { monotonicMs: () => 0, sleep };
  const options = { deadlineMs: 600_000, firstDelayMs: 1, maxDelayMs: 1, random: randomBytes };
  return withRetry(store, { ...options, clock });
}

describe.for(REST_SERVERS)("%s behind a line that breaks", (kind) => {
  const READS: readonly [WireFault, string, string][] = [
    [{ status: 500 }, "objectstore.unavailable", "objectstore.unavailable"],
    [{ status: 502 }, "objectstore.unavailable", "objectstore.unavailable"],
    [
      { status: 429, headers: { "retry-after": "7" } },
      "objectstore.unavailable",
      "objectstore.unavailable",
    ],
    [{ status: 401 }, "objectstore.denied", "objectstore.denied"],
    [
      { status: 302, headers: { location: "http://127.0.0.1:1/" } },
      "objectstore.invalid_location",
      "objectstore.invalid_location",
    ],
    ["lose-answer", "objectstore.unavailable", "objectstore.unavailable"],
    ["reset", "objectstore.unavailable", "objectstore.unavailable"],
    ["cut", "objectstore.unavailable", "objectstore.unavailable"],
    ["cut-unframed", "objectstore.unavailable", "objectstore.unavailable"],
    ["silence", "objectstore.unavailable", "objectstore.unavailable"],
    ["fewer-bytes", "no error", "objectstore.truncated"],
    // What follows the announced end is no answer to anything.
    ["short-length", "objectstore.unavailable", "objectstore.unavailable"],
  ];
  test.for(READS)("reads through %j", async ([fault, whole, range]) => {
    await using broken = await startBroken(kind);
    const { proxy, store } = broken;
    await store.put(PACK, [BODY], { ifAbsent: true });
    proxy.decide = when(({ method }) => method === "GET", fault);
    const tried = fault === "silence" ? broken.impatient : store;
    expect(await codeOf(() => tried.get(PACK))).toBe(whole);
    expect(await codeOf(() => tried.getRange(PACK, RANGE))).toBe(range);
    proxy.decide = () => undefined;
    expect(Buffer.compare(await store.get(PACK), BODY)).toBe(0);
  });

  test.for<WireFault>([{ status: 503 }, "lose-answer", "cut-upload", "silence"])(
    "a write through %j succeeds in the end, once",
    async (fault) => {
      await using broken = await startBroken(kind);
      const { proxy, store } = broken;
      let posts = 0;
      proxy.decide = ({ method, path }) => {
        if (method !== "POST" || !path.endsWith(ID)) return undefined;
        posts += 1;
        return posts <= 2 ? fault : undefined;
      };
      const tried = fault === "silence" ? broken.impatient : store;
      await retrying(tried).put(PACK, [BODY], { ifAbsent: true });
      expect(Buffer.compare(await store.get(PACK), BODY)).toBe(0);
      expect(await listKeys(store, "")).toEqual([PACK]);
    },
  );

  test("a write of which the server kept another size is none", async () => {
    await using broken = await startBroken(kind);
    const { proxy, store } = broken;
    let posted = false;
    proxy.decide = ({ method }) => {
      posted ||= method === "POST";
      return method === "HEAD" && posted
        ? { answerHeaders: { "content-length": "17" } }
        : undefined;
    };
    const code = await codeOf(() => store.put(PACK, [BODY], { ifAbsent: true }));
    expect(code).toBe("objectstore.unavailable");
    proxy.decide = () => undefined;
    expect(await listKeys(store, "")).toEqual([]);
  });

  test("waits as long as the server asks", async () => {
    await using broken = await startBroken(kind);
    const { proxy, store } = broken;
    const busy = { status: 429, headers: { "retry-after": "7" } };
    proxy.decide = when(({ number }) => number <= 2, busy);
    const delays: number[] = [];
    expect(await retrying(store, delays).stat(PACK)).toBeUndefined();
    expect(delays).toEqual([7000, 7000]);
  });

  const LISTINGS: readonly [string, WireFault][] = [
    ["cut", "cut"],
    ["cut where nothing says so", "cut-unframed"],
    ["of another length", "fewer-bytes"],
    ["of an error", { status: 500 }],
    ["of a web page", { status: 200, headers: { "content-type": "text/html" }, body: "<html>" }],
    ["that is no list", { status: 200, body: '{"name":"x","size":1}' }],
    ["of something else", { status: 200, body: "[1,2]" }],
    [
      "with a size that is none",
      {
        status: 200,
        headers: { "content-type": "application/vnd.x.restic.rest.v2" },
        body: `[{"name":"${ID}","size":-1}]`,
      },
    ],
  ];
  test.for(LISTINGS)("a listing %s is an error and never shorter", async ([, fault]) => {
    await using broken = await startBroken(kind);
    const { proxy, store } = broken;
    await store.put(PACK, [BODY], { ifAbsent: true });
    proxy.decide = when(({ method }) => method === "GET", fault);
    expect(await codeOf(() => listKeys(store, "data/"))).toBe("objectstore.unavailable");
    proxy.decide = () => undefined;
    expect(await listKeys(store, "data/")).toEqual([PACK]);
  });

  test("a server that does not tell the time is refused, since no lock can be aged by it", async () => {
    await using broken = await startBroken(kind);
    const { proxy, store } = broken;
    await store.put(PACK, [BODY], { ifAbsent: true });
    proxy.decide = () => ({ answerHeaders: { date: undefined } });
    expect(await codeOf(() => listKeys(store, ""))).toBe("objectstore.invalid_location");
  });

  test("a date that a server gives all the same is taken, and is no sight of ours", async () => {
    await using broken = await startBroken(kind);
    const { proxy, store } = broken;
    await store.put(PACK, [BODY], { ifAbsent: true });
    expect((await store.stat(PACK))?.seenOnly).toBe(true);
    const told = "Thu, 01 Jan 2026 00:00:00 GMT";
    proxy.decide = () => ({ answerHeaders: { "last-modified": told } });
    const found = await store.stat(PACK);
    expect(found).toEqual({ key: PACK, sizeBytes: BODY.byteLength, modifiedAt: new Date(told) });
  });

  test("a backup through a line that breaks every fifth answer is whole", async () => {
    await using broken = await startBroken(kind);
    const { proxy, store } = broken;
    const faults: readonly WireFault[] = [{ status: 500 }, "lose-answer", "reset", "cut"];
    proxy.decide = ({ number }) => (number % 5 === 0 ? faults[(number / 5) % 4] : undefined);
    const repository = await createOurs(retrying(store));
    const files = [{ path: ["large"], content: patternBytes(9_000_000, 3) }];
    await backUp(repository, files);
    proxy.decide = () => undefined;
    const again = await openOurs(store);
    expect((await again.check({ readData: true })).findings).toEqual([]);
    const reader = await again.acquireReader();
    const latest = await again.resolveSnapshot("latest");
    expect(await entriesOf(reader, reader.entries(latest))).toEqual(await expectedFiles(files));
    expect(await listKeys(store, "locks/")).toEqual([]);
  });
});

test("a server that knows version 1 of the protocol alone: names, and each size by itself", async () => {
  await using broken = await startBroken("rest-server");
  const { proxy, store } = broken;
  await store.put(PACK, [BODY], { ifAbsent: true });
  proxy.decide = () => ({ requestHeaders: { accept: "*/*" } });
  const found = await Array.fromAsync(store.list("data/"));
  expect(found).toMatchObject([{ key: PACK, sizeBytes: BODY.byteLength }]);
  expect(proxy.requests.filter(({ method }) => method === "GET")).toHaveLength(1);
});

test("nobody listens: unavailable, and says what was asked", async () => {
  const store = createRestStore("rest:http://127.0.0.1:1/r");
  const thrown = await store.stat("config").catch(toAppError);
  expect(thrown).toMatchObject({
    code: "objectstore.unavailable",
    message: "HEAD of config without an answer (ECONNREFUSED)",
  });
});

test("what an earlier write without an answer left of itself is waited for, not taken for the object", async () => {
  await using broken = await startBroken("rclone");
  const { proxy, store } = broken;
  let looks = 0;
  proxy.decide = ({ method }) => {
    if (method === "POST") return looks < 2 ? "lose-answer" : undefined;
    if (method !== "HEAD") return undefined;
    looks += 1;
    // The second look, by the retry, meets half of it; the third one all.
    return looks === 2 ? { answerHeaders: { "content-length": "17" } } : undefined;
  };
  const delays: number[] = [];
  await retrying(store, delays).put(PACK, [BODY], { ifAbsent: true });
  expect(delays).toHaveLength(2);
  expect(proxy.requests.filter(({ method }) => method === "DELETE")).toEqual([]);
  expect(Buffer.compare(await store.get(PACK), BODY)).toBe(0);
});
