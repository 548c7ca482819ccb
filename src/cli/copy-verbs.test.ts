import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { randomBytes } from "node:crypto";
import { Secret, silentLog, systemClock } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { createFsStore } from "../objectstore/index.ts";
import type { OperationContext } from "../operation/index.ts";
import { openRepository } from "../repository/index.ts";
import { runCli } from "./program.ts";
import { testRuntime } from "./testing/runtime.ts";

let folder: string;
let context: OperationContext;
const KEYS: Readonly<Record<string, string>> = {
  MAIN: "vast orbit 93 quilt, the main one",
  OFFSITE: "lost amber 17 ferry, the other one",
  FRESH: "mild gravel 55 onion, the new one",
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sparekeep-cli-copy-"));
  await writeFile(
    join(folder, "p.yaml"),
    `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: DB } } }
destinations:
  main: { url: ./main, password: { env: MAIN }, copies: [offsite] }
  offsite: { url: ./offsite, password: { env: OFFSITE } }
  fresh: { url: ./fresh, password: { env: FRESH } }
plans: { full: { source: db, capture: everything, to: main } }
`,
  );
  context = {
    clock: { ...systemClock, sleep: () => Promise.resolve() },
    random: (size) => randomBytes(size),
    log: silentLog,
    signal: new AbortController().signal,
    actor: "ann",
    hostname: "web1",
    pid: process.pid,
    env: (name) => KEYS[name],
    toolDirectories: [],
    stateDirectory: join(folder, "state"),
    version: "1.2.3",
    keyCost: { N: 1024, r: 8, p: 1 },
  };
  for (const name of ["main", "offsite"]) {
    expect(await run(["init", "-p", join(folder, "p.yaml"), "-d", name])).toMatchObject({
      code: 0,
    });
  }
  await save();
});
afterAll(() => rm(folder, { recursive: true }));

async function* content(text: string): AsyncIterable<Bytes> {
  yield Buffer.from(text);
}

async function save(): Promise<void> {
  const { clock, random } = context;
  const store = createFsStore(join(folder, "main"), { random });
  const repository = await openRepository(
    { store, clock, random },
    { password: new Secret(KEYS["MAIN"] ?? "") },
  );
  await using writer = await repository.acquireWriter({ hostname: "h", username: "u", pid: 1 });
  const metadata = { kind: "file", modifiedAt: new Date(0) } as const;
  await writer.saveFile(["letters", "jane"], content("dear jane"), metadata);
  const tags = ["plan=full", "source=db"];
  await writer.commit({ time: new Date("2026-11-01T10:00:00Z"), paths: ["/"], tags });
}

async function run(line: readonly string[]) {
  const runtime = testRuntime(context);
  const code = await runCli(line, runtime);
  return { code, stdout: runtime.stdout.text, stderr: runtime.stderr.text };
}

function inPolicy(line: string) {
  return run([...line.split(" "), "-p", join(folder, "p.yaml")]);
}

const REWRITE = "rewrite -d main --without letters/jane --all --reason r17";

describe("the verbs of copies", () => {
  // One story: each part goes on where the one before ended.
  test("copy shows its plan, copies, counts, and copies nothing twice", async () => {
    const dry = await inPolicy("copy --dry-run");
    expect(dry.code).toBe(0);
    expect(dry.stdout).toMatch(/^main -> offsite: 1 snapshot to copy, 0 there\n/);
    const before = await inPolicy("copies --json");
    expect(before.code).toBe(21);
    const copied = await inPolicy("copy -q");
    expect(copied).toMatchObject({ code: 0, stderr: "" });
    expect(copied.stdout).toMatch(/main -> offsite: 1 copied and read back, 0 there already/);
    expect(copied.stdout).toMatch(/complete\n$/);
    const again = await inPolicy("copy --to offsite --json");
    expect(JSON.parse(again.stdout)).toMatchObject({
      outcome: "complete",
      copies: [{ copied: [], present: [{}], sourceLock: "held" }],
    });
    const counted = await inPolicy("copies --check");
    expect(counted.code).toBe(21);
    expect(counted.stdout).toContain("3  copies, with the original: 3 (yes)");
    expect(counted.stdout).toContain("1  off-site: 0 (no)");
    expect(counted.stdout).toContain("0  errors: 0 (yes)");
    const one = (await inPolicy("doctor -d offsite")).stdout;
    expect(one).toContain("destination offsite: repository");
    expect(one).not.toContain("destination main:");
    expect(await inPolicy("copy --to fresh --json")).toMatchObject({ code: 2 });
    expect(dry.stdout).not.toContain("warning");
  });

  test("copy warns of a copy that has the password of the original", async () => {
    const file = join(folder, "same.yaml");
    const text = await readFile(join(folder, "p.yaml"), "utf8");
    await writeFile(
      file,
      text
        .replace("copies: [offsite]", "copies: [same]")
        .replace("  fresh:", "  same: { url: ./same, password: { env: MAIN } }\n  fresh:"),
    );
    expect(await run(["init", "-p", file, "-d", "same"])).toMatchObject({ code: 0 });
    const dry = await run(["copy", "-p", file, "--dry-run"]);
    expect(dry.stdout).toContain("warning: same has the password of main; give the copy its own");
  });

  test("rekey moves everything, and says what to do", async () => {
    const dry = await inPolicy("rekey -d main --to fresh --dry-run --json");
    expect(JSON.parse(dry.stdout)).toMatchObject({ plan: { create: true, snapshots: 1 } });
    const moved = await inPolicy("rekey -d main --to fresh --read-data -q");
    expect(moved.code).toBe(0);
    expect(moved.stdout).toMatch(/complete: 1 snapshot copied/);
    expect(moved.stdout).toMatch(/Next:\n {2}1\. Point the policy/);
    const again = await inPolicy("rekey -d main --to fresh --json");
    expect(JSON.parse(again.stdout)).toMatchObject({ outcome: "complete", copy: { copied: [] } });
    expect(await inPolicy("rekey -d main")).toMatchObject({ code: 2 });
    expect(await inPolicy("rekey -d main --to fresh --to-repository x")).toMatchObject({ code: 2 });
  });

  test("rewrite shows its plan, asks before it forgets, and tells what remains", async () => {
    expect(await inPolicy("rewrite -d main --without letters --reason r")).toMatchObject({
      code: 2,
    });
    const both = await inPolicy(`${REWRITE} --snapshot latest`);
    expect(both).toMatchObject({ code: 2 });
    const dry = await inPolicy(`${REWRITE} --dry-run`);
    expect(dry.code).toBe(0);
    expect(dry.stdout).toMatch(/Rewrite 1 snapshot of main, and keep the old ones/);
    expect(dry.stdout).toMatch(/without letters\/jane \(1 file, 9 B\)/);
    expect(dry.stdout).toMatch(/Copies may hold it too: offsite\n/);
    const unasked = await inPolicy(`${REWRITE} --forget`);
    expect(unasked.code).toBe(2);
    expect(unasked.stderr).toMatch(/nobody confirmed/);
    expect(await inPolicy(`${REWRITE} --forget --json`)).toMatchObject({ code: 2 });
    const done = await inPolicy(`${REWRITE} --forget --yes --json`);
    expect(done.code).toBe(0);
    expect(JSON.parse(done.stdout)).toMatchObject({
      outcome: "complete",
      rewritten: [{ found: false }],
      forgotten: [expect.stringMatching(/^[0-9a-f]{64}$/)],
      remaining: [],
      remains: { copies: ["offsite"], packs: 1 },
    });
    const listed = await inPolicy("dump latest letters/jane -d main");
    expect(listed.code).toBe(1);
    expect(listed.stderr).toMatch(/erased from this snapshot on \d{4}-\d\d-\d\d by ann: r17/);
  });
});
