import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Secret, systemClock } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { createMemoryStore } from "../objectstore/index.ts";
import type { ObjectStore } from "../objectstore/index.ts";
import type { OperationContext } from "../operation/index.ts";
import { openRepository } from "../repository/index.ts";
import { runCli } from "./program.ts";
import { cliContext, testRuntime } from "./testing/runtime.ts";

let folder: string;
let store: ObjectStore;
let context: OperationContext;

const PASSWORD = "vast orbit 93 quilt, the main one";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sparekeep-estimate-"));
  store = createMemoryStore({ clock: systemClock, objectLock: true });
  context = cliContext(join(folder, "state"), {
    clock: { ...systemClock, sleep: () => Promise.resolve() },
    env: () => PASSWORD,
    storeAt: (location) => (location.includes("away") ? undefined : store),
  });
  await writePolicy("");
  expect(await run("init", "-d", "bucket")).toMatchObject({ code: 0 });
});
afterEach(() => rm(folder, { recursive: true }));

async function writePolicy(more: string): Promise<void> {
  await writeFile(
    join(folder, "p.yaml"),
    `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: DB } } }
destinations:
  bucket:
    url: s3://bucket/shop
    password: { env: MAIN }
    storage_class: GLACIER_IR
    lock: { mode: compliance, for: 30 days }
${more}
plans:
  nightly: { source: db, capture: everything, to: bucket, keep: { daily: 7, weekly: 4 } }
  kept: { source: db, capture: everything, to: bucket }
`,
  );
}

async function run(...line: readonly string[]) {
  const runtime = testRuntime(context);
  const code = await runCli([...line, "-p", join(folder, "p.yaml")], runtime);
  return { code, stdout: runtime.stdout.text, stderr: runtime.stderr.text };
}

/** Of each a minute later: which is the newest does not hang on their ids. */
let saved = 0;

async function save(text: string, days?: number): Promise<void> {
  const { clock, random } = context;
  const repository = await openRepository(
    { store, clock, random },
    { password: new Secret(PASSWORD) },
  );
  const until = (now: Date): Date => new Date(now.getTime() + (days ?? 0) * 86_400_000);
  const lock = days === undefined ? {} : { lock: { mode: "compliance" as const, until } };
  await using writer = await repository.acquireWriter({
    hostname: "h",
    username: "u",
    pid: 1,
    ...lock,
  });
  async function* content(): AsyncIterable<Bytes> {
    yield Buffer.from(text);
  }
  await writer.saveFile(["a"], content(), { kind: "file", modifiedAt: new Date(0) });
  const tags = ["plan=nightly", "source=db"];
  saved += 1;
  await writer.commit({ time: new Date(Date.UTC(2026, 10, 1, 10, saved)), paths: ["/"], tags });
}

test("says what is stored, how it grows and what its terms cost, and nothing that was not read", async () => {
  const empty = await run("estimate");
  expect(empty).toMatchObject({ code: 0, stderr: "" });
  expect(empty.stdout).toContain("bucket (memory:): 0 snapshots\n");
  expect(empty.stdout).toContain("requests of a backup: unknown");
  expect(empty.stdout).toContain("Object Lock of the newest point: none");

  await save("one");
  await save("two", 30);
  const { code, stdout } = await run("estimate");
  expect(code).toBe(0);
  expect(stdout).toMatch(/ {2}packs of data +2 +/);
  expect(stdout).toMatch(/ {2}packs of trees +2 +/);
  expect(stdout.match(/grew by .* as far as it is still there/g)).toHaveLength(2);
  expect(stdout).toContain("GLACIER_IR: each object is paid for 90 days at least");
  expect(stdout).toContain(
    "plan nightly keeps points 7 days to 28 days: 62 to 83 days are paid and not used",
  );
  expect(stdout).toContain("plan kept forgets nothing");
  expect(stdout).toMatch(/newest point: compliance until 20\d\d-/);
  expect(stdout).toMatch(/a backup like the last: about 6 writes .* for Object Lock/);

  const { document } = await json("estimate", "--json");
  expect(document).toMatchObject({
    outcome: "complete",
    destinations: [
      {
        destination: "bucket",
        bulk: { objects: 2 },
        storageClass: { name: "GLACIER_IR", minimumDays: 90 },
        plans: [
          {
            plan: "nightly",
            keptDays: { shortest: 7, longest: 28 },
            unusedDays: { least: 62, most: 83 },
          },
          { plan: "kept" },
        ],
        lock: { mode: "compliance" },
        nextRun: { packs: { objects: 2 }, writes: 6 },
      },
    ],
  });
  const log = await readFile(join(folder, "state", "shop", "audit.jsonl"), "utf8");
  expect(log).toContain('"action":"estimate"');
});

test("one that cannot be read does not hide the others, alone its error is the answer", async () => {
  await writePolicy("  away: { url: ./away, password: { env: MAIN } }\n");
  const { code, stdout } = await run("estimate");
  expect(code).toBe(3);
  expect(stdout).toMatch(/bucket \(memory:\): 0 snapshots/);
  expect(stdout).toMatch(/away: not read: no repository/);
  expect((await run("estimate", "-d", "away")).code).toBe(10);
});

async function json(...line: readonly string[]): Promise<{ document: unknown }> {
  const { stdout } = await run(...line);
  return { document: JSON.parse(stdout) as unknown };
}
