import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Secret, silentLog } from "../kernel/index.ts";
import type { Bytes, Clock } from "../kernel/index.ts";
import { createMemoryStore } from "../objectstore/index.ts";
import type { MemoryStore, StoreFacts } from "../objectstore/index.ts";
import type { OperationContext } from "../operation/index.ts";
import { createInlineSealer, createRepository } from "../repository/index.ts";
import type { PointLock, Repository } from "../repository/index.ts";
import { runCli } from "./program.ts";
import { testRuntime } from "./testing/runtime.ts";

/** The verbs over a store with versions and Object Lock, whose clock and ours are the same here. */

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const POLICY = `sparekeep: 1
name: shop
timezone: Africa/Johannesburg
sources: { db: { kind: postgres, connection: { env: DB } } }
destinations:
  bucket:
    url: s3://shop-backups/repo
    password: { env: KEY }
    lock: { mode: governance, for: 30 days }
  folder: { url: ./repo, password: { env: KEY } }
plans: { full: { source: db, capture: everything, to: bucket } }
`;

let folder: string;
let policy: string;
let nowMs: number;
let store: MemoryStore;
let repository: Repository;

const clock: Clock = {
  now: () => new Date(nowMs),
  monotonicMs: () => nowMs,
  sleep: async () => {},
  every: () => ({ [Symbol.dispose]: () => {} }),
};
const LOCK: PointLock = {
  mode: "governance",
  until: (storeTime) => new Date(storeTime.getTime() + 30 * DAY_MS),
};

function seeded(): (size: number) => Bytes {
  let counter = 0;
  return (size) => {
    counter += 1;
    return createHash("shake256", { outputLength: size }).update(`${counter}`).digest();
  };
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sparekeep-as-of-"));
  policy = join(folder, "p.yaml");
  await writeFile(policy, POLICY);
  nowMs = new Date("2026-11-20T12:00:00Z").getTime();
  store = createMemoryStore({ clock, objectLock: true });
  const context = { store, clock, random: seeded(), createSealer: createInlineSealer };
  repository = await createRepository(context, {
    password: new Secret("secret"),
    hostname: "web1",
    username: "ann",
    cost: { N: 2, r: 1, p: 1 },
  });
  await save("hello", LOCK);
});
afterEach(() => rm(folder, { recursive: true }));

async function save(text: string, lock?: PointLock): Promise<void> {
  const owner = { hostname: "web1", username: "ann", pid: process.pid };
  await using writer = await repository.acquireWriter(
    lock === undefined ? owner : { ...owner, lock },
  );
  const content = (async function* content(): AsyncIterable<Bytes> {
    yield Buffer.from(text);
  })();
  const modifiedAt = new Date(nowMs);
  await writer.saveFile(["a", "note"], content, { kind: "file", modifiedAt });
  await writer.commit({ time: modifiedAt, paths: ["/shop"], tags: ["plan=full", "source=db"] });
}

function context(): OperationContext {
  return {
    clock,
    random: seeded(),
    log: silentLog,
    signal: new AbortController().signal,
    actor: "ann",
    hostname: "web1",
    pid: process.pid,
    env: (name) => (name === "KEY" ? "secret" : undefined),
    toolDirectories: [],
    stateDirectory: join(folder, "state"),
    version: "1.2.3",
    storeAt: (location) => (location.startsWith("s3:") ? store : undefined),
  };
}

async function run(line: readonly string[], destination = "bucket") {
  const runtime = testRuntime(context());
  const code = await runCli([...line, "--policy", policy, "--destination", destination], runtime);
  return { code, stdout: runtime.stdout.text, stderr: runtime.stderr.text };
}

/** 14:31 in Johannesburg is 12:31 UTC: the intruder comes at 12:32. */
const BEFORE = ["--as-of", "2026-11-20 14:31"];

async function attack(): Promise<void> {
  nowMs = new Date("2026-11-20T12:32:00Z").getTime();
  for await (const { key } of store.list("")) await store.remove(key);
  await store.put("config", [Buffer.from("garbage")]);
  await store.put("README", [Buffer.from("pay")]);
  nowMs += MINUTE_MS;
}

describe("--as-of", () => {
  test("shows and reads what was there before it was removed", async () => {
    await attack();
    expect((await run(["snapshots"])).code).not.toBe(0);
    const snapshots = await run(["snapshots", ...BEFORE]);
    expect(snapshots.stdout).toContain("2026-11-20 12:00:00Z  full");
    expect((await run(["ls", "latest", "a", ...BEFORE])).stdout).toMatch(/ 5 B {2}a\/note\n$/);
    expect((await run(["dump", "latest", "a/note", ...BEFORE])).stdout).toBe("hello");
    const check = await run(["check", "--read-data", ...BEFORE]);
    expect(check.code).toBe(0);
    expect(check.stdout).toMatch(/^clean: 1 snapshot,/);
    const audit = await readFile(join(folder, "state/shop/audit.jsonl"), "utf8");
    expect(audit.match(/"asOf":"2026-11-20T12:31:00.000Z"/g)).toHaveLength(4);
  });

  test.for([
    ["no date with a time", "2026-11-20"],
    ["a date or time that does not exist", "2026-02-30 10:00"],
    ["which has not come yet", "2027-11-20 10:00"],
  ])("is refused where it is %s", async ([message, text]) => {
    const result = await run(["snapshots", "--as-of", text ?? ""]);
    expect(result.code).toBe(2);
    expect(result.stderr).toContain(message);
  });

  test("is refused by a store that keeps no versions", async () => {
    nowMs += DAY_MS;
    const result = await run(["snapshots", "--json", ...BEFORE], "folder");
    expect(result.code).toBe(1);
    expect(result.stdout).toContain("objectstore.no_versions");
  });
});

describe("recover-versions", () => {
  test("shows the plan, and carries it out when it is confirmed", async () => {
    await attack();
    const dry = await run(["recover-versions", ...BEFORE, "--dry-run"]);
    expect(dry.code).toBe(0);
    expect(dry.stdout).toMatch(/^Recover memory: \(bucket\) as of 2026-11-20 12:31:00Z: 7 objects/);
    expect(dry.stdout).toContain("removed since, put back: 6\n");
    expect(dry.stdout).toContain("overwritten since, put back: 1\n    config\n");
    expect(dry.stdout).toContain("added since, left: 1\n    README\n");
    const unconfirmed = await run(["recover-versions", ...BEFORE]);
    expect(unconfirmed).toMatchObject({ code: 2, stdout: dry.stdout });
    expect(unconfirmed.stderr).toContain("nobody confirmed");
    expect(Buffer.from(await store.get("config")).toString()).toBe("garbage");
    const done = await run(["recover-versions", ...BEFORE, "--yes"]);
    expect(done.code).toBe(0);
    expect(done.stdout).toMatch(/complete: 7 objects, .* put back and read back, 0 removed/);
    expect((await run(["check", "--read-data"])).code).toBe(0);
    const again = await run(["recover-versions", ...BEFORE, "--yes"]);
    expect(again.stdout).toContain("Nothing is to be put back.");
    const audit = await readFile(join(folder, "state/shop/audit.jsonl"), "utf8");
    expect(audit).toContain('"action":"recover-versions"');
    expect(audit).toContain('"step":"execute"');
  });

  test("as one document, and removes what was added when asked", async () => {
    await attack();
    expect((await run(["recover-versions", ...BEFORE, "--json"])).code).toBe(2);
    const done = await run(["recover-versions", ...BEFORE, "--json", "--yes", "--remove-added"]);
    expect(JSON.parse(done.stdout)).toMatchObject({
      plan: { putBack: expect.any(Array), added: [{ key: "README" }], removesAdded: true },
      outcome: "complete",
      removed: 1,
      destination: "bucket",
    });
    expect(await store.stat("README")).toBeUndefined();
  });

  test("says what has no whole version left, and ends with 3", async () => {
    const [pack] = await Array.fromAsync(store.list("data/"));
    const key = pack?.key ?? "";
    nowMs += 40 * DAY_MS;
    for await (const { key: found, version } of store.versions?.list("") ?? []) {
      if (found === key) await store.deleteVersion(key, version);
    }
    await store.put(key, [Buffer.from("garbage")]);
    nowMs += MINUTE_MS;
    const moment = new Date(nowMs).toISOString();
    nowMs += MINUTE_MS;
    await store.remove(key);
    const done = await run(["recover-versions", "--as-of", moment.replace(".000", ""), "--yes"]);
    expect(done.code).toBe(3);
    expect(done.stdout).toContain(`missing: ${key} of which no whole version is left`);
  });
});

describe("snapshots --locks", () => {
  test("says until when nobody deletes each point", async () => {
    nowMs += DAY_MS;
    await save("not locked");
    const { code, stdout } = await run(["snapshots", "--locks"]);
    expect(code).toBe(0);
    const [head, first, second] = stdout.split("\n");
    expect(head).toMatch(/LOCKED$/);
    expect(first).toMatch(/governance until 2026-12-20 12:00:00Z$/);
    expect(second).toMatch(/ no$/);
    const json = await run(["snapshots", "--locks", "--json"]);
    expect(JSON.parse(json.stdout)).toMatchObject({
      snapshots: [
        { lock: { mode: "governance", until: "2026-12-20T12:00:00.000Z" } },
        { lock: null },
      ],
    });
    expect(JSON.parse((await run(["snapshots", "--json"])).stdout).snapshots[0]).not.toHaveProperty(
      "lock",
    );
  });

  test("is refused of the past, and by a store that has none", async () => {
    nowMs += DAY_MS;
    const both = await run(["snapshots", "--locks", ...BEFORE]);
    expect(both).toMatchObject({ code: 2, stderr: expect.stringContaining("--locks together") });
    const { lock: _lock, ...plain } = store;
    store = plain;
    const result = await run(["snapshots", "--locks", "--json"]);
    expect(result.stdout).toContain("repository.object_lock_missing");
  });
});

describe("doctor", () => {
  const facts = (changes: Partial<StoreFacts>): StoreFacts => ({
    conditionalWrites: "honoured",
    lock: "enforced",
    lockBypass: false,
    versioned: true,
    ...changes,
  });

  test.for([
    ["ok    destination bucket: the store holds locked versions against deletion", {}],
    ["fail  destination bucket: these credentials may pass over governance", { lockBypass: true }],
    ["fail  destination bucket: the store deleted a version", { lock: "not enforced" }],
    ["warn  destination bucket: whether the store holds its locks", { lock: "unknown" }],
  ] as const)("says: %s", async ([line, changes]) => {
    store = { ...store, probe: () => Promise.resolve(facts(changes)) };
    const { stdout } = await run(["doctor"]);
    expect(stdout).toContain(line);
    expect(stdout).toMatch(/newest point \w{8} locked in governance mode until 2026-12-20 12:00/);
  });

  test("does not call a store tried that nothing can try", async () => {
    const { stdout } = await run(["doctor"]);
    expect(stdout).toContain("warn  destination bucket: whether the store holds its locks");
  });

  test("finds a store without Object Lock, and points without their locks", async () => {
    await save("not locked");
    expect((await run(["doctor"])).stdout).toContain("or something that it needs carries no lock");
    const { lock: _lock, ...plain } = store;
    store = plain;
    expect((await run(["doctor"])).stdout).toContain(
      "fail  destination bucket: the policy locks recovery points, and the store has no Object Lock",
    );
  });
});
