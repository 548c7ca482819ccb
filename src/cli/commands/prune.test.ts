import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { Secret, silentLog, systemClock } from "../../kernel/index.ts";
import type { OperationContext } from "../../operation/index.ts";
import { createFsStore } from "../../objectstore/index.ts";
import { createInlineSealer, createRepository } from "../../repository/index.ts";
import type { Repository } from "../../repository/index.ts";
import { runCli } from "../program.ts";
import { testRuntime } from "../testing/runtime.ts";

let folder: string;
let repository: Repository;
let options: readonly string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sparekeep-prune-cli-"));
  await writeFile(join(folder, "key"), "secret\n", { mode: 0o600 });
  options = ["--repository", join(folder, "repo"), "--password-file", join(folder, "key")];
  const random = (size: number) => randomBytes(size);
  const store = createFsStore(join(folder, "repo"), { random });
  const context = { store, clock: systemClock, random, createSealer: createInlineSealer };
  repository = await createRepository(context, {
    password: new Secret("secret"),
    hostname: "web1",
    username: "ann",
    cost: { N: 1024, r: 8, p: 1 },
  });
});
afterAll(() => rm(folder, { recursive: true }));

beforeEach(async () => {
  for (const name of await readdir(join(folder, "repo/snapshots")).catch(() => [])) {
    await rm(join(folder, "repo/snapshots", name));
  }
  const gone = await backUp(`gone ${Math.random()}`);
  await backUp("kept");
  await rm(join(folder, "repo/snapshots", gone));
});

async function backUp(text: string): Promise<string> {
  await using writer = await repository.acquireWriter({
    hostname: "web1",
    username: "ann",
    pid: process.pid,
  });
  const content = async function* () {
    yield Buffer.from(text);
  };
  await writer.saveFile(["x"], content(), { kind: "file", modifiedAt: new Date(0) });
  return (await writer.commit({ time: systemClock.now(), paths: ["/x"], tags: [] })).id;
}

async function run(...words: readonly string[]) {
  const context: OperationContext = {
    clock: systemClock,
    random: (size) => randomBytes(size),
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
  const runtime = testRuntime(context);
  const code = await runCli(["prune", ...options, ...words], runtime);
  return { code, stdout: runtime.stdout.text, stderr: runtime.stderr.text };
}

async function packs(): Promise<number> {
  return (await readdir(join(folder, "repo/data"), { recursive: true })).filter(
    (name) => name.length > 64,
  ).length;
}

test("shows its plan, and wants it confirmed", async () => {
  const before = await packs();
  const dry = await run("--dry-run");
  expect(dry.code).toBe(0);
  expect(dry.stdout).toMatch(/^Prune .*: 1 snapshot\n {2}stored {8}\d+ packs/);
  expect(dry.stdout).toMatch(/ {2}mark {10}\d packs, .* removed by a later prune/);
  expect(dry.stdout).toMatch(/ {2}free later {4}.* from 20.* on \(grace period\)/);
  const asked = await run();
  expect(asked.code).toBe(2);
  expect(asked.stderr).toContain("Look at the plan, then run again with --yes.");
  expect(await packs()).toBe(before);
});

test("is carried out with --yes; with --json as one document", async () => {
  const before = await packs();
  const done = await run("--yes", "--grace", "0", "--max-unused", "0");
  expect(done.stdout).toMatch(/\ncomplete: .* freed \(\d packs\)/);
  expect(done.code).toBe(0);
  expect(await packs()).toBeLessThan(before);
  const { code, stdout } = await run("--yes", "--json");
  const document: unknown = JSON.parse(stdout);
  expect(code).toBe(0);
  expect(document).toMatchObject({
    outcome: "complete",
    plan: { remove: { packs: 0 }, freedLater: [] },
    removed: { packs: 0 },
  });
  // Where nothing is to be done, nobody is asked.
  const idle = await run();
  expect(idle.code).toBe(0);
  expect(idle.stdout).toMatch(/\nNothing to do\.\n$/);
});

test("asks nobody with --json alone, and takes no limit that is none", async () => {
  expect((await run("--json")).code).toBe(2);
  const wrong = await run("--max-unused", "much");
  expect(wrong).toMatchObject({ code: 2, stdout: "" });
  expect(wrong.stderr).toContain('size "much" that is none');
});
