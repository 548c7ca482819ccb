import { watch } from "node:fs";
import { chmod, cp, mkdir, open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCliBench } from "../support/cli.ts";
import type { CliBench } from "../support/cli.ts";
import { failOnLeakedSessions, startCluster } from "../support/cluster.ts";
import type { Cluster } from "../support/cluster.ts";
import { createRestic, finish, OLDEST_RESTIC } from "../support/restic.ts";

const SCRIPT = `
  create table part (id bigint generated always as identity primary key, name text not null);
  insert into part (name) select 'part ' || i from generate_series(1, 5000) i;
  create table secret (x int);
  insert into secret values (1);
  create role reader login password 'reader';
  grant select on part to reader;`;

let cluster: Cluster;
let bench: CliBench;
let pristine: string;

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.createDatabase("shop");
  await cluster.psql(SCRIPT, "shop");
  bench = await createCliBench({ DATABASE_URL: cluster.url("shop") });
  const made = await bench.run(["init", "--connection-env", "DATABASE_URL", "--to", "repo"]);
  expect(made.code).toBe(0);
  const written = await readFile(bench.path("sparekeep.yaml"), "utf8");
  // Each test brings a database of its own into one plan: what guards say of that stands in tests of theirs.
  const off = ["rows", "bytes", "tables_gone", "tables_unreadable"].map(
    (g) => `${g}: off because of tests`,
  );
  const plan = "capture: everything, to: local";
  expect(written).toContain(plan);
  const guards = `${plan}, guards: { ${off.join(", ")} }`;
  await writeFile(bench.path("sparekeep.yaml"), written.replace(plan, guards));
  expect(await bench.run(["backup"])).toMatchObject({ code: 0 });
  pristine = bench.path("pristine");
  await cp(bench.path("repo"), pristine, { recursive: true });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
});

const READ_VERBS: readonly (readonly string[])[] = [
  ["snapshots"],
  ["ls"],
  ["dump", "latest", "manifest.json", "-o", "never"],
  ["export", "--table", "part", "-o", "never"],
  ["check"],
  ["restore", "--to", "postgresql://nobody@127.0.0.1:1/none", "--yes"],
];

async function locks(): Promise<string[]> {
  return readdir(bench.path("repo/locks"));
}

/** The password as the policy's file holds it. */
async function password(): Promise<string> {
  return (await readFile(bench.path("sparekeep.password"), "utf8")).trim();
}

describe("each fault has one clear error, its exit code, and one JSON document", () => {
  test("a wrong password: 12", async () => {
    await writeFile(bench.path("wrong"), "wrong\n", { mode: 0o600 });
    for (const verb of READ_VERBS) {
      const options = ["--repository", "repo", "--password-file", "wrong"];
      const result = await bench.json([...verb, ...options]);
      expect(result).toMatchObject({
        code: 12,
        stderr: "",
        document: { error: { code: "repository.wrong_password", kind: "auth" } },
      });
    }
  });

  test("no repository: 10", async () => {
    await mkdir(bench.path("empty"));
    const places = ["empty", "nowhere"].map(async (place) => {
      const options = ["--repository", place, "--password-file", "sparekeep.password"];
      const result = await bench.run(["snapshots", ...options]);
      expect(result.code).toBe(10);
      expect(result.stderr).toMatch(/^error: .*\n {2}fix: .*\n$/);
    });
    await Promise.all(places);
  });

  test("a bad policy: 2, with file, line and column", async () => {
    await writeFile(bench.path("bad.yaml"), "sparekeep: 1\nname: shop\nsorces: {}\n");
    const result = await bench.run(["backup", "--policy", "bad.yaml"]);
    expect(result.code).toBe(2);
    expect(result.stderr).toContain(
      'bad.yaml:3:1: unknown key "sorces" at the top. Write "sources".',
    );
    const { document } = await bench.json(["backup", "--policy", "bad.yaml"]);
    expect(document).toMatchObject({
      error: { code: "policy.invalid", subject: { file: "bad.yaml", line: 1, column: 1 } },
    });
  });

  test("no policy, an unreadable one, one that is no text: 2", async () => {
    await mkdir(bench.path("folder.yaml"));
    await writeFile(bench.path("binary.yaml"), Buffer.of(0xff, 0xfe, 0x00));
    const cases = [
      ["missing.yaml", "operation.policy_missing"],
      ["folder.yaml", "operation.policy_unreadable"],
      ["binary.yaml", "operation.policy_unreadable"],
    ];
    for (const [policy = "", code] of cases) {
      const result = await bench.json(["backup", "--policy", policy]);
      expect(result).toMatchObject({ code: 2, document: { error: { code } } });
    }
  });

  test("a password file that others can read: 2", async () => {
    await cp(bench.path("sparekeep.password"), bench.path("shown"));
    await chmod(bench.path("shown"), 0o644);
    const options = ["--repository", "repo", "--password-file", "shown"];
    expect(await bench.run(["snapshots", ...options])).toMatchObject({
      code: 2,
      stderr: "error: secret file shown open to others (mode 0644)\n  fix: Run: chmod 600 shown\n",
    });
  });

  test("a wrong command line: 2", async () => {
    expect(await bench.run(["bakup"])).toEqual({
      code: 2,
      stdout: "",
      stderr: "error: unknown command 'bakup'\n  fix: Write backup.\n",
    });
    expect(await bench.json(["backup", "weekly"])).toMatchObject({
      code: 2,
      document: { error: { code: "policy.unknown_name" } },
    });
  });

  test("a password in an argument: 2, and it is not repeated", async () => {
    const to = "postgresql://u:hunter2@h/d";
    const result = await bench.json(["restore", "--to", to, "--yes"]);
    expect(result).toMatchObject({
      code: 2,
      document: { error: { code: "cli.password_in_argument" } },
    });
    expect(result.stdout).not.toContain("hunter2");
  });

  test("a source that is down: 1, and the repository stays clean", async () => {
    const env = { DATABASE_URL: "postgresql://u:pw@127.0.0.1:1/shop" };
    const result = await bench.run(["backup", "--quiet"], { env });
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/^error: .*127\.0\.0\.1.*\n {2}fix: .*\n$/);
    expect(await locks()).toEqual([]);
  });

  test("a source that refuses the role, and one that has no such database: 1", async () => {
    const wrong = cluster.url("shop").replace(/:[^:@]*@/, ":wrong@");
    const refused = await bench.json(["backup"], { env: { DATABASE_URL: wrong } });
    expect(refused).toMatchObject({
      code: 1,
      document: { error: { code: "postgres.authentication_failed" } },
    });
    const missing = await bench.json(["backup"], { env: { DATABASE_URL: cluster.url("none") } });
    expect(missing).toMatchObject({
      code: 1,
      document: { error: { code: "postgres.database_not_found" } },
    });
  });

  test("a snapshot or a path that is not there: 1", async () => {
    expect(await bench.json(["ls", "ffffffff"])).toMatchObject({
      code: 1,
      document: { error: { code: "repository.snapshot_not_found", kind: "not-found" } },
    });
    expect(await bench.json(["dump", "latest", "no/such", "-o", "x"])).toMatchObject({
      code: 1,
      document: { error: { code: "repository.path_not_found" } },
    });
  });

  test("a reader of standard output that goes away: 141, and silence", async () => {
    const running = bench.start(["dump", "latest", "database/tables/public/part/0000.copy"]);
    running.child.stdout?.destroy();
    expect(await running.ended).toMatchObject({ code: 141, stderr: "" });
  });
});

describe("a table that cannot be read makes the run incomplete, never shorter", () => {
  test("exit 3, named, tagged, and said by snapshots", async () => {
    const env = {
      DATABASE_URL: cluster.url("shop", { name: "reader", password: "reader" }),
    };
    const result = await bench.json(["backup"], { env });
    expect(result).toMatchObject({ code: 3, document: { outcome: "incomplete" } });
    expect(JSON.stringify(result.document["issues"])).toContain("secret");
    const { document } = await bench.json(["snapshots"]);
    const snapshots = document["snapshots"];
    if (!Array.isArray(snapshots)) throw new Error("no snapshots");
    expect(snapshots.at(-1)).toMatchObject({ outcome: "incomplete" });
    expect(snapshots.at(-1).tags).toContain("outcome=incomplete");
    const checked = await bench.run(["doctor"], { env });
    expect(checked.code).toBe(1);
    expect(checked.stdout).toContain(
      "fail  source database: 1 of 2 tables that the role may not read",
    );
  });
});

describe("a repository that somebody works on, or that is damaged", () => {
  test("an exclusive lock of a living process: 11; of a dead one: none", async () => {
    await using restic = await createRestic(OLDEST_RESTIC, bench.path("repo"), await password());
    const { promise: locked, resolve } = Promise.withResolvers<void>();
    const watcher = watch(bench.path("repo/locks"), (_event, name) => {
      if (name !== null && /^[0-9a-f]{64}$/.test(name)) resolve();
    });
    const prune = restic.start(["prune"]);
    const ended = finish(prune);
    await locked;
    prune.kill("SIGSTOP");
    watcher.close();
    try {
      const result = await bench.json(["backup"]);
      expect(result).toMatchObject({
        code: 11,
        document: { error: { code: "repository.locked", subject: { pid: prune.pid } } },
      });
      expect((await bench.run(["snapshots"])).code).toBe(0);
    } finally {
      prune.kill("SIGKILL");
      await ended;
    }
    expect((await bench.run(["backup"])).code).toBe(0);
    expect(await locks()).toEqual([]);
  });

  test("a damaged pack: check --read-data and dump say 20", async () => {
    const repository = bench.path("damaged");
    await cp(pristine, repository, { recursive: true });
    const options = ["--repository", "damaged", "--password-file", "sparekeep.password"];
    expect((await bench.run(["check", "--read-data", ...options])).code).toBe(0);
    for (const pack of await packFiles(repository)) await flipByte(pack, 10);
    const checked = await bench.json(["check", "--read-data", ...options]);
    expect(checked).toMatchObject({ code: 20, document: { outcome: "damaged" } });
    expect(checked.document["findings"]).not.toEqual([]);
    const packs = await packFiles(repository);
    await Promise.all(packs.map((pack) => rm(pack)));
    expect((await bench.run(["check", ...options])).code).toBe(20);
    const dumped = await bench.json(["dump", "latest", "manifest.json", "-o", "lost", ...options]);
    expect(dumped).toMatchObject({ code: 20, document: { error: { kind: "corrupt" } } });
    expect(await readdir(bench.folder)).not.toContain("lost");
  });

  test("a damaged index: repair shows its plan, wants a yes, and mends it", async () => {
    const repository = bench.path("indexless");
    await cp(pristine, repository, { recursive: true });
    const options = ["--repository", "indexless", "--password-file", "sparekeep.password"];
    const [index = ""] = await readdir(join(repository, "index"));
    await flipByte(join(repository, "index", index), 30);
    const refused = await bench.json(["ls", ...options]);
    expect(refused).toMatchObject({ code: 20, document: { error: { kind: "corrupt" } } });
    expect(JSON.stringify(refused.document)).toContain("sparekeep repair index");
    const dry = await bench.run(["repair", "index", "--dry-run", ...options]);
    expect(dry).toMatchObject({ code: 0, stderr: "" });
    expect(dry.stdout).toContain(`remove index ${index.slice(0, 8)}`);
    expect((await bench.run(["repair", "index", ...options])).code).toBe(2);
    expect((await bench.run(["check", ...options])).code).toBe(20);
    const done = await bench.json(["repair", "index", "--yes", ...options]);
    expect(done).toMatchObject({ code: 0, document: { result: { removedIndexes: 1 } } });
    const checked = await bench.json(["check", "--rolling", ...options]);
    expect(checked).toMatchObject({ code: 0, document: { outcome: "clean", remembered: true } });
    expect((await bench.run(["check", "--read-data", "--rolling", ...options])).code).toBe(2);
    for (const what of ["packs", "snapshots"]) {
      const nothing = await bench.run(["repair", what, ...options]);
      expect(nothing).toMatchObject({ code: 0 });
      expect(nothing.stdout).toContain("Nothing to do.");
    }
  });
});

async function packFiles(repository: string): Promise<string[]> {
  const entries = await readdir(join(repository, "data"), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
}

async function flipByte(path: string, position: number): Promise<void> {
  await chmod(path, 0o600);
  await using file = await open(path, "r+");
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, position);
  byte[0] = (byte[0] ?? 0) ^ 1;
  await file.write(byte, 0, 1, position);
}

test("a disk that is full: 1, no lock, no snapshot, and the next backup works", async () => {
  await cluster.createDatabase("large");
  const script = `create table random as
    select string_agg(md5(i::text || random()), '') from generate_series(1, 200000) i group by i % 1000`;
  await cluster.psql(script, "large");
  const env = { DATABASE_URL: cluster.url("large") };
  const before = (await bench.json(["snapshots"])).document["snapshots"];
  const result = await bench.json(["backup"], { env, largestFileKib: 1024 });
  expect(result).toMatchObject({
    code: 1,
    stderr: "",
    document: { error: { code: "objectstore.full", kind: "exhausted" } },
  });
  expect(await locks()).toEqual([]);
  expect((await bench.json(["snapshots"])).document["snapshots"]).toEqual(before);
  expect((await bench.run(["check", "--read-data"])).code).toBe(0);
  await failOnLeakedSessions(cluster);
  expect((await bench.run(["backup"], { env })).code).toBe(0);
});

describe("foreign text", () => {
  test("cannot send control codes to the terminal", async () => {
    await cluster.createDatabase("evil");
    const name = String.fromCodePoint(0x1b) + "[2J" + String.fromCodePoint(0x9b, 0x202e);
    await cluster.psql(`create table "${name}" (x int); insert into "${name}" values (1);`, "evil");
    const env = {
      DATABASE_URL: cluster.url("evil", { name: "reader", password: "reader" }),
    };
    const outputs = [
      await bench.run(["backup"], { env }),
      await bench.run(["backup", "--json"], { env }),
      await bench.run(["doctor"], { env }),
      await bench.run(["backup"], { env: { DATABASE_URL: cluster.url("evil") } }),
      await bench.run(["ls", "-r"]),
    ];
    expect(outputs.map((output) => output.code)).toEqual([3, 3, 1, 0, 0]);
    for (const { stdout, stderr } of outputs) {
      // oxlint-disable-next-line no-control-regex
      expect(stdout + stderr).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F-\u009F\u202E]/);
    }
    const naming = outputs.filter((_, index) => index !== 3);
    for (const { stdout } of naming) expect(stdout).toContain("[2J");
  });
});
