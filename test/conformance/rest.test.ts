import { createHash, randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Secret, silentLog, systemClock, toAppError } from "../../src/kernel/index.ts";
import { init, listSnapshots } from "../../src/operation/index.ts";
import type { OperationContext } from "../../src/operation/index.ts";
import { parsePolicy } from "../../src/policy/index.ts";
import { createMemoryStore, withStoreBeside } from "../../src/objectstore/index.ts";
import type { ObjectStore } from "../../src/objectstore/index.ts";
import {
  codeOf,
  createRestStore,
  createTemporaryFolder,
  listKeys,
  patternBytes,
} from "../../src/objectstore/testing/index.ts";
import { entriesOf, filesBelow, writeFiles } from "../support/restic-files.ts";
import {
  backUp,
  createOurs,
  expectedFiles,
  openOurs,
  PASSWORD,
  TEST_COST,
} from "../support/restic-repository.ts";
import { REST_SERVERS, startRest } from "../support/rest-servers.ts";
import type { RestServer } from "../support/rest-servers.ts";
import { createRestic, NEWEST_RESTIC, OLDEST_RESTIC } from "../support/restic.ts";

const MIB = 1024 * 1024;
const FILES = [
  { path: ["large"], content: patternBytes(20 * MIB, 3) },
  { path: ["folder", "small"], content: Buffer.from("small") },
];
const OTHER_FILES = { "theirs/bytes": patternBytes(3 * MIB, 8), "theirs/empty": "" };

function storeOf(server: RestServer, folder = "shop"): ObjectStore {
  return createRestStore(`rest:${server.url}${folder}`, { settings: server.settings });
}

function idOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

describe.for(REST_SERVERS)("a repository at %s", (kind) => {
  test.for([OLDEST_RESTIC, NEWEST_RESTIC])(
    "over TLS is whole to restic %s, and what restic writes there is read by ours",
    async (version) => {
      await using server = await startRest(kind, { tls: true });
      await using folder = await createTemporaryFolder();
      const store = storeOf(server);
      await backUp(await createOurs(store), FILES);

      const location = `rest:${server.url}shop/`;
      await using restic = await createRestic(version, location, PASSWORD);
      const trust = ["--cacert", server.certificates?.caFile ?? ""];
      await restic.run([...trust, "check", "--read-data"]);
      const out = join(folder.path, "out");
      await restic.run([...trust, "restore", "latest", "--target", out]);
      expect(await filesBelow(out)).toEqual(await expectedFiles(FILES));

      const source = join(folder.path, "source");
      await mkdir(source);
      await writeFiles(source, OTHER_FILES);
      await restic.run([...trust, "backup", "."], { cwd: source });
      const again = await openOurs(store);
      expect((await again.check({ readData: true })).findings).toEqual([]);
      const reader = await again.acquireReader();
      const theirs = (await again.snapshots()).find(({ tags }) => tags.length === 0);
      if (theirs === undefined) throw new Error("no snapshot of restic's");
      expect(await entriesOf(reader, reader.entries(theirs))).toEqual(await filesBelow(source));
      expect(store.connection?.()).toEqual({ tls: ["TLSv1.3"], plain: false });
    },
  );

  test("that only grows takes backups, gives locks back, and lets nothing be removed or replaced", async () => {
    await using server = await startRest(kind, { appendOnly: true });
    const store = storeOf(server);
    const repository = await createOurs(store);
    await backUp(repository, FILES);
    await backUp(repository, [{ path: ["next"], content: patternBytes(100_000, 4) }]);
    expect(await listKeys(store, "locks/")).toEqual([]);

    const before = await filesBelow(server.root);
    const keys = await listKeys(store, "");
    const oneOfEach = ["config", "data/", "index/", "keys/", "snapshots/"].map((folder) =>
      keys.find((key) => key.startsWith(folder)),
    );
    for (const key of oneOfEach) {
      if (key === undefined) throw new Error("a repository has one of each");
      expect(await codeOf(() => store.remove(key))).toBe("objectstore.denied");
      expect(await codeOf(() => store.put(key, [patternBytes(9)]))).toBe("objectstore.denied");
      const create = (): Promise<void> => store.put(key, [patternBytes(9)], { ifAbsent: true });
      expect(await codeOf(create)).toBe("objectstore.exists");
    }
    expect(await filesBelow(server.root)).toEqual(before);

    await using restic = await createRestic(NEWEST_RESTIC, `rest:${server.url}shop/`, PASSWORD);
    await restic.run(["check", "--read-data"]);
  });

  test("takes the credentials, shows them nowhere, and refuses others", async () => {
    await using server = await startRest(kind, { auth: true });
    const store = storeOf(server);
    await createOurs(store);
    expect(store.location).toBe(`rest:${server.url}shop/`);
    const { username = "" } = server.settings.rest;
    for (const rest of [{}, { username, password: new Secret("hunter2") }]) {
      const other = createRestStore(`rest:${server.url}shop`, { settings: { rest } });
      for (const work of [
        () => other.get("config"),
        () => other.stat("config"),
        () => listKeys(other, "data/"),
        () => other.put(`locks/${idOf("a")}`, []),
        () => other.remove(`locks/${idOf("a")}`),
      ]) {
        const thrown: unknown = await work().catch((reason: unknown) => reason);
        expect(toAppError(thrown)).toMatchObject({
          code: "objectstore.denied",
          hint: "Check the credentials of this store.",
        });
        expect(JSON.stringify(thrown)).not.toContain("hunter2");
      }
    }
  });

  test("of an authority that we were not told of is not trusted", async () => {
    await using server = await startRest(kind, { tls: true });
    const store = createRestStore(`rest:${server.url}shop`);
    expect(await codeOf(() => store.stat("config"))).toBe("objectstore.tls_refused");
  });

  test("ages an object from our first sight of it, by the server's clock", async () => {
    await using server = await startRest(kind);
    const store = storeOf(server);
    const key = `locks/${idOf("lock")}`;
    await store.put(key, [Buffer.from("lock")], { ifAbsent: true });
    const first = await store.stat(key);
    expect(first?.seenOnly).toBe(true);
    const offMs = (first?.modifiedAt.getTime() ?? 0) - Date.now();
    expect(Math.abs(offMs)).toBeLessThan(60_000);
    expect(await Array.fromAsync(store.list("locks/"))).toEqual([first]);
    await store.remove(key);
    expect(await store.stat(key)).toBeUndefined();
  });

  test("has no place for records; a store beside it has", async () => {
    await using server = await startRest(kind);
    const store = storeOf(server);
    const key = `sparekeep/holds/${idOf("hold")}`;
    const thrown = await store.put(key, [Buffer.from("x")], { ifAbsent: true }).catch(toAppError);
    expect(thrown).toMatchObject({
      code: "objectstore.no_place",
      kind: "config",
      hint: expect.stringContaining("`beside`"),
    });
    expect(await listKeys(store, "sparekeep/")).toEqual([]);
    expect(await store.stat(key)).toBeUndefined();
    expect(await codeOf(() => store.get(key))).toBe("objectstore.not_found");
    await store.remove(key);

    const beside = createMemoryStore({ clock: systemClock });
    const both = withStoreBeside(store, beside);
    await createOurs(both);
    await both.put(key, [Buffer.from("x")], { ifAbsent: true });
    expect(await listKeys(beside, "sparekeep/holds/")).toEqual([key]);
    // The repository's own first key, and the record of it.
    expect(await listKeys(beside, "sparekeep/keys/")).toHaveLength(1);
    const others = (found: string): boolean => !/^(sparekeep\/)?keys\//.test(found);
    expect((await listKeys(both, "")).filter(others)).toEqual(["config", key]);
  });
});

test.for(REST_SERVERS)(
  "a destination of the policy at %s: its credentials, its authority, its store beside",
  async (kind) => {
    await using server = await startRest(kind, { tls: true, auth: true });
    await using folder = await createTemporaryFolder();
    const { username = "", password } = server.settings.rest;
    const context: OperationContext = {
      clock: systemClock,
      random: (size) => randomBytes(size),
      log: silentLog,
      signal: new AbortController().signal,
      actor: "ann",
      hostname: "web1",
      pid: process.pid,
      env: (name) => ({ SERVER: password?.reveal(), KEY: PASSWORD })[name],
      toolDirectories: [],
      stateDirectory: join(folder.path, "state"),
      version: "0.0.0-test",
      keyCost: TEST_COST,
    };
    const text = `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: DB } } }
plans: { full: { source: db, capture: everything, to: far } }
destinations:
  far:
    url: "rest:${server.url}shop"
    password: { env: KEY }
    credentials: { username: ${username}, password: { env: SERVER } }
    tls: { ca: ${server.certificates?.caFile ?? ""} }
    limits: { upload: 100 MiB/s, requests_per_second: 1000, concurrency: 2 }
    beside: ./beside
`;
    const policy = parsePolicy({ text, file: "p.yaml", directory: folder.path });
    await init(context, { policy, generatePassword: false, allowWeak: true });
    const { id } = await backUp(await openOurs(storeOf(server)), FILES);
    expect(await listSnapshots(context, { policy })).toMatchObject([{ id }]);
  },
);

test("rest-server compares an upload with its name, and what does not match is not kept", async () => {
  await using server = await startRest("rest-server");
  const store = storeOf(server);
  const key = `snapshots/${idOf("something else")}`;
  const put = (): Promise<void> => store.put(key, [Buffer.from("flipped")], { ifAbsent: true });
  expect(await codeOf(put)).toBe("objectstore.unavailable");
  expect(await store.stat(key)).toBeUndefined();
});

// A large one is answered before it is sent, and the connection closed.
test.for([2_000, 17 * MIB])(
  "rest-server whose quota is used up by %d bytes is full",
  async (size) => {
    await using server = await startRest("rest-server", { maxSizeBytes: 1_000 });
    const store = storeOf(server);
    const body = patternBytes(size);
    const id = createHash("sha256").update(body).digest("hex");
    const key = `data/${id.slice(0, 2)}/${id}`;
    expect(await codeOf(() => store.put(key, [body], { ifAbsent: true }))).toBe("objectstore.full");
    expect(await store.stat(key)).toBeUndefined();
  },
);
