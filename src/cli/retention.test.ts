import { randomBytes } from "node:crypto";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Secret, silentLog, systemClock } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { createFsStore } from "../objectstore/index.ts";
import { listKeys } from "../objectstore/testing/index.ts";
import type { OperationContext } from "../operation/index.ts";
import {
  createInlineSealer,
  createRepository,
  openRepository,
  saveProof,
} from "../repository/index.ts";
import type { Repository } from "../repository/index.ts";
import { parseWithin } from "./keep-flags.ts";
import { runCli } from "./program.ts";
import { testRuntime } from "./testing/runtime.ts";

/** forget, hold, accept and the states that `snapshots` shows, from the command line on a repository in a folder. */

let root: string;
let folder: string;
let repository: Repository;
let ids: readonly string[];

/** Nobody else takes locks here: no reason to wait for a second look. */
const clock = { ...systemClock, sleep: () => Promise.resolve() };

const WRITER = { hostname: "web1", username: "ann", pid: process.pid };
const PASSWORD = "correct horse battery staple";

async function* once(text: string): AsyncIterable<Bytes> {
  yield Buffer.from(text);
}

async function save(day: number, tags: readonly string[]): Promise<string> {
  await using writer = await repository.acquireWriter(WRITER);
  await writer.saveFile(["file"], once(`day ${day}`), { kind: "file", modifiedAt: new Date(0) });
  const time = new Date(Date.UTC(2026, 1, day, 2));
  return (await writer.commit({ time, paths: ["/db"], tags })).id;
}

const POLICY = `sparekeep: 1
name: shop
timezone: Africa/Johannesburg
sources: { db: { kind: postgres, connection: { env: DB } } }
destinations: { local: { url: ./repo, password: { file: ./key } } }
plans: { nightly: { source: db, capture: everything, to: local, keep: { last: 2 } } }
`;

const contextAt = (place: string) => ({
  store: createFsStore(join(place, "repo"), { random: randomBytes }),
  clock,
  random: randomBytes,
  createSealer: createInlineSealer,
});

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "sparekeep-retention-"));
  const template = join(root, "template");
  await mkdir(template);
  await writeFile(join(template, "key"), PASSWORD, { mode: 0o600 });
  await writeFile(join(template, "p.yaml"), POLICY);
  const { hostname, username } = WRITER;
  const options = { password: new Secret(PASSWORD), hostname, username };
  const cost = { N: 2, r: 1, p: 1 };
  repository = await createRepository(contextAt(template), { ...options, cost });
  const made: string[] = [];
  for (let day = 1; day <= 4; day += 1) made.push(await save(day, ["plan=nightly", "source=db"]));
  ids = made;
});
afterAll(() => rm(root, { recursive: true }));

let copies = 0;
beforeEach(async () => {
  copies += 1;
  folder = join(root, `copy-${copies}`);
  await cp(join(root, "template"), folder, { recursive: true });
  repository = await openRepository(contextAt(folder), { password: new Secret(PASSWORD) });
});

function context(): OperationContext {
  return {
    clock,
    random: randomBytes,
    log: silentLog,
    signal: new AbortController().signal,
    actor: "ann",
    hostname: "web1",
    pid: process.pid,
    env: () => undefined,
    toolDirectories: [],
    stateDirectory: join(folder, "state"),
    version: "1.2.3",
  };
}

async function run(line: readonly string[], typed?: string) {
  const runtime = testRuntime(context());
  const stdin = Object.assign(Readable.from([typed === undefined ? "" : `${typed}\n`]), {
    isTTY: typed !== undefined,
  });
  const policy = line.includes("--repository") ? [] : ["--policy", join(folder, "p.yaml")];
  const code = await runCli([...line, ...policy], { ...runtime, stdin });
  return { code, stdout: runtime.stdout.text, stderr: runtime.stderr.text };
}

async function json(line: readonly string[]): Promise<{ code: number; document: unknown }> {
  const { code, stdout } = await run([...line, "--json"]);
  return { code, document: JSON.parse(stdout) };
}

const short = (index: number): string => (ids[index] ?? "").slice(0, 8);
const snapshotsLeft = async (): Promise<readonly string[]> =>
  (await repository.snapshots()).map(({ id }) => id);
const bare = () => ["--repository", join(folder, "repo"), "--password-file", join(folder, "key")];

describe("forget", () => {
  test("shows what is kept and why, and what goes; a dry run stops there", async () => {
    const { code, stdout } = await run(["forget", "--dry-run"]);
    expect(code).toBe(0);
    const lines = stdout
      .replaceAll(folder, "FOLDER")
      .split("\n")
      .filter((line) => line !== "");
    const day = (n: number): string => `2026-02-0${n} 02:00:00Z`;
    expect(lines).toEqual([
      "Retention in FOLDER/repo, days of Africa/Johannesburg",
      "plan nightly keeps 2, forgets 2",
      "Kept:",
      "ID        TIME                  PLAN     WHY",
      `${short(3)}  ${day(4)}  nightly  last snapshot, newest good point of its plan`,
      `${short(2)}  ${day(3)}  nightly  last snapshot`,
      "To be forgotten:",
      "ID        TIME                  PLAN",
      `${short(1)}  ${day(2)}  nightly`,
      `${short(0)}  ${day(1)}  nightly`,
    ]);
    expect(await snapshotsLeft()).toEqual(ids);
  });

  test("asks for the number, and forgets that many", async () => {
    const refused = await run(["forget"], "yes");
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("not confirmed") });
    expect(await snapshotsLeft()).toEqual(ids);
    const done = await run(["forget"], "2");
    expect(done.code).toBe(0);
    expect(done.stdout).toMatch(/^complete: 2 snapshots forgotten, 2 kept$/m);
    expect(await snapshotsLeft()).toEqual(ids.slice(2));
    expect(await run(["forget"])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("nothing to forget"),
    });
  });

  test("with nobody to ask forgets nothing without --yes", async () => {
    expect(await run(["forget"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("run again with --yes"),
    });
    expect(await run(["forget", "--json"])).toMatchObject({ code: 2 });
    expect(await snapshotsLeft()).toEqual(ids);
    expect(await json(["forget", "--plan", "nightly", "--yes"])).toMatchObject({
      code: 0,
      document: {
        outcome: "complete",
        removed: ids.slice(0, 2),
        notRemoved: [],
        plan: { stopped: false, forget: [{ id: ids[1] }, { id: ids[0] }] },
      },
    });
  });

  test("that a guard stops says so, and ends with 3", async () => {
    await save(5, ["plan=nightly", "outcome=incomplete"]);
    const { code, stdout } = await run(["forget", "--yes"]);
    expect(code).toBe(3);
    expect(stdout).toMatch(/plan nightly keeps 5, forgets 0: its newest point .* is incomplete/);
    expect(await snapshotsLeft()).toHaveLength(5);
  });

  test("works without a policy, on rules like restic's", async () => {
    const foreign = await save(6, []);
    const rules = ["--keep-daily", "1", "--keep-within", "1d", "--keep-tag", "a,b"];
    const { document } = await json(["forget", ...bare(), ...rules, "--dry-run"]);
    expect(document).toMatchObject({
      plan: { timezone: "UTC", forget: [{ id: ids[2] }, { id: ids[1] }, { id: ids[0] }] },
    });
    expect(
      await run(["forget", ...bare(), "--keep-last", "1", "--foreign", "--yes"]),
    ).toMatchObject({
      code: 0,
    });
    expect(await snapshotsLeft()).toEqual([ids[3], foreign]);
  });

  test.for([
    ["no rules at all", false, [], "operation.no_keep_rules"],
    ["rules beside those of a policy", true, ["--keep-last", "1"], "operation.no_keep_rules"],
    ["an unknown plan", true, ["--plan", "nigtly"], "policy.unknown_name"],
    ["a count that is none", true, ["--keep-last", "0"], "cli.usage"],
    ["a length that is none", true, ["--keep-within", "x"], "cli.usage"],
  ] as const)("is refused with %s", async ([, policy, flags, code]) => {
    const place = policy ? [] : bare();
    expect(await json(["forget", ...place, ...flags, "--yes"])).toMatchObject({
      code: 2,
      document: { error: { code } },
    });
    expect(await snapshotsLeft()).toEqual(ids);
  });
});

test.for([
  ["2m", { months: 2 }],
  ["1y6m30d12h", { years: 1, months: 6, days: 30, hours: 12 }],
  ["30 days", { days: 30 }],
  ["2 weeks", { days: 14 }],
] as const)("--keep-within %s", ([text, expected]) => {
  expect(parseWithin(text)).toMatchObject(expected);
});

describe("hold", () => {
  test.for(["add", "list", "release"])("%s has help with its own examples", async (part) => {
    const runtime = testRuntime(context());
    expect(await runCli(["hold", part, "--help"], runtime)).toBe(0);
    const { text } = runtime.stdout;
    expect(text).toMatch(new RegExp(`^Examples:\\n {2}sparekeep hold ${part}`));
    expect(text).toContain("--json");
  });

  const REASON = ["--reason", "audit of 2026"];

  test("keeps a snapshot until it is released, and shows where", async () => {
    const { document } = await json(["hold", "add", short(0), ...REASON]);
    expect(document).toMatchObject({ by: "ann", snapshots: [ids[0]], state: "in force" });
    const listed = await run(["snapshots"]);
    expect(listed.stdout.split("\n")[1]).toMatch(/complete +stored +web1 +ann: audit of 2026$/);
    await run(["forget", "--yes"]);
    expect(await snapshotsLeft()).toEqual([ids[0], ids[2], ids[3]]);
    const { id } = document as { id: string };
    expect(await run(["hold", "release", id.slice(0, 8), "--reason", "over"])).toMatchObject({
      code: 0,
      stdout: `hold ${id.slice(0, 8)} released\n`,
    });
    expect((await run(["hold", "list"])).stdout).toMatch(
      /ann +released +[0-9a-f]{8} +audit of 2026 +ann: over$/m,
    );
    await run(["forget", "--yes"]);
    expect(await snapshotsLeft()).toEqual(ids.slice(2));
  });

  test("keeps a range of days, its last one included", async () => {
    const range = ["--plan", "nightly", "--from", "2026-02-02", "--to", "2026-02-02"];
    await run(["hold", "add", ...range, ...REASON, "--until", "2099-01-01"]);
    await run(["forget", "--yes"]);
    expect(await snapshotsLeft()).toEqual(ids.slice(1));
    expect((await json(["hold", "list"])).document).toMatchObject({
      holds: [
        {
          range: { from: "2026-02-02T00:00:00.000Z", to: "2026-02-02T23:59:59.999Z" },
          until: "2099-01-01T00:00:00.000Z",
        },
      ],
    });
  });

  test("that ended by itself holds nothing", async () => {
    await run(["hold", "add", short(0), ...REASON, "--until", "2020-01-01"]);
    expect((await json(["hold", "list"])).document).toMatchObject({
      holds: [{ state: "expired" }],
    });
    expect((await run(["snapshots"])).stdout).not.toContain("audit");
    await run(["forget", "--yes"]);
    expect(await snapshotsLeft()).toEqual(ids.slice(2));
  });

  test.for([
    ["of nothing", ["add", ...REASON], 2, "cli.usage"],
    ["without a reason", ["add", "latest"], 2, "cli.usage"],
    ["until no day", ["add", "latest", ...REASON, "--until", "2026-06-31"], 2, "cli.usage"],
    ["of no snapshot", ["add", "ffff", ...REASON], 1, "repository.snapshot_not_found"],
    ["that is not there", ["release", "ffff", ...REASON], 1, "repository.hold_not_found"],
  ] as const)("%s is refused", async ([, line, code, error]) => {
    expect(await json(["hold", ...line])).toMatchObject({
      code,
      document: { error: { code: error } },
    });
  });

  test("is refused where the destination has no room for it", async () => {
    const text = POLICY.replace("url: ./repo", "url: 'rest:https://localhost:1/'");
    await writeFile(join(folder, "p.yaml"), text);
    for (const line of [
      ["hold", "list"],
      ["accept", "latest", ...REASON],
    ]) {
      expect(await json(line)).toMatchObject({
        code: 2,
        document: { error: { code: "operation.no_room_for_records" } },
      });
    }
  });
});

test("a suspect point stops forgetting until somebody accepts it by name", async () => {
  await saveProof(repository, { snapshot: ids[3] ?? "", state: "suspect", by: "guard" });
  expect((await run(["snapshots"])).stdout).toMatch(/complete +suspect +web1$/m);
  expect((await run(["forget", "--yes"])).code).toBe(3);
  const accepted = await json(["accept", short(3), "--reason", "rows were test rows"]);
  expect(accepted).toMatchObject({ code: 0, document: { by: "ann", state: "stored" } });
  expect((await run(["forget", "--yes"])).code).toBe(0);
  expect(await json(["accept", short(3), "--reason", "again"])).toMatchObject({
    code: 2,
    document: { error: { code: "repository.not_suspect" } },
  });
});

describe("diff", () => {
  test("shows what changed, and how much", async () => {
    const { code, stdout } = await run(["diff", short(0), short(1)]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^from [0-9a-f]{8} \(2026-02-01 .*\) to [0-9a-f]{8} \(2026-02-02 /);
    expect(stdout.split("\n").slice(1, -1)).toEqual([
      "M  file",
      expect.stringMatching(/^added: 0 files, 0 folders, 0 B; \d+ B in 2 blobs$/),
      expect.stringMatching(/^removed: 0 files, 0 folders, 0 B; \d+ B in 2 blobs$/),
      "changed: 1 file",
    ]);
  });

  test("is one document with --json, also where nothing changed", async () => {
    const { document } = await json(["diff", short(0), "latest", "file"]);
    expect(document).toMatchObject({
      before: { id: ids[0] },
      after: { id: ids[3] },
      changes: [{ modifier: "M", path: "file", type: "file", beforeBytes: 5, afterBytes: 5 }],
      totals: { changedFiles: 1, added: { dataBlobs: 1, blobBytes: 5 } },
    });
    expect((await json(["diff", "latest", "latest"])).document).toMatchObject({
      changes: [],
      totals: { changedFiles: 0 },
    });
  });

  test("below a path that neither has is an error", async () => {
    const { code, stderr } = await run(["diff", short(0), "latest", "no/such"]);
    expect(code).toBe(1);
    expect(stderr).toContain("nothing under no/such in either snapshot");
  });

  test("shows other metadata alone only when asked", async () => {
    const older = await save(8, []);
    await using writer = await repository.acquireWriter(WRITER);
    await writer.saveFile(["file"], once("day 8"), { kind: "file", modifiedAt: new Date(1000) });
    const younger = (await writer.commit({ time: new Date(), paths: ["/db"], tags: [] })).id;
    const plain = await json(["diff", older, younger]);
    expect(plain.document).toMatchObject({ changes: [] });
    const all = await json(["diff", older, younger, "--metadata"]);
    expect(all.document).toMatchObject({ changes: [{ modifier: "U", path: "file" }] });
  });
});

test("every one of these accesses is recorded, the plan and its execution each", async () => {
  await run(["hold", "add", short(3), "--reason", "x"]);
  await run(["accept", short(3), "--reason", "y"]);
  await run(["forget", "--yes"]);
  await run(["diff", short(2), short(3)]);
  expect(await readdir(join(folder, "state"))).toEqual(["shop"]);
  const log = await readFile(join(folder, "state/shop/audit.jsonl"), "utf8");
  expect(log).toMatch(/"action":"hold".*"step":"add"/);
  expect(log).toMatch(/"action":"accept".*"reason":"y"/);
  expect(log).toMatch(/"action":"forget".*"step":"plan"/);
  expect(log).toMatch(new RegExp(`"action":"diff".*"before":"${short(2)}"`));
  expect(log).toMatch(
    new RegExp(`"action":"forget".*"snapshots":"${short(1)} ${short(0)}".*"step":"execute"`),
  );
  const store = createFsStore(join(folder, "repo"), { random: randomBytes });
  expect(await listKeys(store, "locks/")).toEqual([]);
});
