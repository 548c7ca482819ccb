import { watch } from "node:fs";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCliBench } from "../support/cli.ts";
import type { CliBench } from "../support/cli.ts";
import { failOnLeakedSessions, startCluster } from "../support/cluster.ts";
import type { Cluster } from "../support/cluster.ts";
import { createRestic, OLDEST_RESTIC } from "../support/restic.ts";

/** The program stopped from outside: by a signal, by whoever reads what it writes, by the disk that it writes to. */

let cluster: Cluster;
let bench: CliBench;

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.createDatabase("shop");
  await cluster.psql(
    `create table part as select i as id, 'part ' || i as name from generate_series(1, 5000) i;
     create table secret (x int);`,
    "shop",
  );
  bench = await createCliBench({ DATABASE_URL: cluster.url("shop") });
  const made = await bench.run(["init", "--connection-env", "DATABASE_URL", "--to", "repo"]);
  expect(made.code).toBe(0);
  expect(await bench.run(["backup"])).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
});

async function locks(): Promise<string[]> {
  return readdir(bench.path("repo/locks"));
}

async function password(): Promise<string> {
  return (await readFile(bench.path("sparekeep.password"), "utf8")).trim();
}

describe("standard streams", () => {
  test("a file for standard output on a full disk: 1, never a shorter file and a success", async () => {
    const path = "database/tables/public/part/0000.copy";
    const into = async (name: string, largestFileKib?: number): ReturnType<CliBench["run"]> =>
      bench.run(["dump", "latest", path], {
        stdoutFile: bench.path(name),
        // An audit log of its own: the limit holds for every file.
        env: { XDG_STATE_HOME: bench.path(`state of ${name}`) },
        ...(largestFileKib === undefined ? {} : { largestFileKib }),
      });
    expect(await into("whole")).toEqual({ code: 0, stdout: "", stderr: "" });
    const { size } = await stat(bench.path("whole"));
    expect(size).toBeGreaterThan(64 * 1024);
    // The last write fits in part only: what Node's own stream takes for done.
    const cut = await into("cut", Math.floor((size - 1) / 1024));
    expect(cut).toMatchObject({ code: 1 });
    expect(cut.stderr).toContain("error: standard output that cannot be written: EFBIG\n");
    const [json, help] = [["snapshots", "--json"], ["--help"]].map((line) =>
      bench.run(line, { stdoutFile: "/dev/full" }),
    );
    for (const result of [await json, await help]) {
      expect(result).toMatchObject({ code: 1 });
      expect(result?.stderr).toMatch(/^error: standard output that cannot be written: ENOSPC\n/);
    }
  });

  test.for([["--verbose"], ["--connections=1"]])(
    "a reader of standard error that goes away ends no backup: %j",
    async (options) => {
      const running = bench.start(["backup", ...options]);
      running.child.stderr?.destroy();
      expect(await running.ended).toMatchObject({ code: 0 });
      expect(await locks()).toEqual([]);
    },
  );
});

describe("Ctrl-C", () => {
  test.for(["SIGINT", "SIGTERM"] as const)(
    "%s in the middle of a backup: 130, no lock, no snapshot, a clean repository",
    async (signal) => {
      const before = (await bench.json(["snapshots"])).document["snapshots"];
      await using blocker = await blockTable("secret");
      const running = bench.start(["backup"]);
      await blocker.waitedFor();
      running.child.kill(signal);
      const result = await running.ended;
      expect(result.code).toBe(130);
      expect(result.stderr).toContain(`error: interrupted by ${signal}\n`);
      await blocker.release();
      expect(await locks()).toEqual([]);
      expect((await bench.json(["snapshots"])).document["snapshots"]).toEqual(before);
      expect((await bench.run(["check", "--read-data"])).code).toBe(0);
      await failOnLeakedSessions(cluster);
      await using restic = await createRestic(OLDEST_RESTIC, bench.path("repo"), await password());
      await restic.run(["check", "--read-data"]);
      expect((await bench.run(["backup"])).code).toBe(0);
    },
  );

  test("in the middle of a check: 130, no lock, and no verdict", async () => {
    // Ctrl-C by itself, as soon as the first of its steps is told to be over.
    const interrupting = `data:text/javascript,${encodeURIComponent(`
      const write = process.stderr.write.bind(process.stderr);
      process.stderr.write = (text) => {
        if (text.startsWith("snapshots:")) process.kill(process.pid, "SIGINT");
        return write(text);
      };`)}`;
    const env = { NODE_OPTIONS: `--import ${interrupting}` };
    const result = await bench.run(["check", "--read-data"], { env });
    expect(result).toMatchObject({ code: 130, stdout: "" });
    expect(result.stderr).toMatch(/^snapshots: .*\nerror: interrupted by SIGINT\n/);
    expect(await locks()).toEqual([]);
    expect((await bench.run(["check"])).code).toBe(0);
  });

  test("a second time does not wait, and leaves neither a password nor a program behind", async () => {
    await using deaf = await deafPgDump();
    const running = bench.start(["backup"], { env: deaf.env });
    await deaf.started();
    expect(await readdir(deaf.temporary)).toHaveLength(1);
    running.child.kill("SIGINT");
    await deaf.toldToEnd();
    running.child.kill("SIGINT");
    expect(await running.ended).toMatchObject({ code: 130 });
    expect(await readdir(deaf.temporary)).toEqual([]);
    expect(await deaf.lives()).toBe(false);
    await failOnLeakedSessions(cluster);
    // Its lock names a process that is dead: the next backup takes it away.
    expect(await locks()).toHaveLength(1);
    expect(await bench.run(["backup"])).toMatchObject({ code: 0 });
    expect(await locks()).toEqual([]);
    expect((await bench.run(["check", "--read-data"])).code).toBe(0);
  });

  test("SIGHUP, by which restic asks whether a lock's owner lives, ends nothing", async () => {
    await using blocker = await blockTable("secret");
    const running = bench.start(["backup"]);
    await blocker.waitedFor();
    running.child.kill("SIGHUP");
    await blocker.release();
    expect(await running.ended).toMatchObject({ code: 0 });
  });
});

interface DeafPgDump extends AsyncDisposable {
  readonly env: Readonly<Record<string, string>>;
  /** Where the program's files are made. */
  readonly temporary: string;
  started(): Promise<void>;
  toldToEnd(): Promise<void>;
  lives(): Promise<boolean>;
}

/** A pg_dump that writes nothing and does not end when told to, first on PATH. */
async function deafPgDump(): Promise<DeafPgDump> {
  const folder = bench.path("deaf");
  const temporary = bench.path("temporary");
  await mkdir(folder);
  await mkdir(temporary);
  const script = `#!${process.execPath}
    const { writeFileSync } = require("node:fs");
    if (process.argv.includes("--version")) {
      console.log("pg_dump (PostgreSQL) 15.0");
    } else {
      process.on("SIGTERM", () => writeFileSync("${folder}/told", ""));
      process.on("SIGINT", () => undefined);
      setInterval(() => undefined, 1_000_000);
      writeFileSync("${folder}/pid", String(process.pid));
    }`;
  for (const name of ["pg_dump", "pg_restore", "psql"]) {
    await writeFile(join(folder, name), script, { mode: 0o755 });
  }
  const pid = async (): Promise<number> => Number(await readFile(join(folder, "pid"), "utf8"));
  const lives = async (): Promise<boolean> => {
    const state = await readFile(`/proc/${await pid()}/stat`, "utf8").catch(() => "");
    return state !== "" && !/\) Z /.test(state);
  };
  return {
    env: { PATH: `${folder}:${process.env["PATH"] ?? ""}`, TMPDIR: temporary },
    temporary,
    started: () => appears(folder, "pid"),
    toldToEnd: () => appears(folder, "told"),
    lives,
    [Symbol.asyncDispose]: async () => {
      if (await lives()) process.kill(await pid(), "SIGKILL");
    },
  };
}

async function appears(folder: string, name: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const watcher = watch(folder, (_event, changed) => {
    if (changed === name) resolve();
  });
  if ((await readdir(folder)).includes(name)) resolve();
  await promise;
  watcher.close();
}

interface Blocker extends AsyncDisposable {
  /** Resolves once a session of ours waits for the table. */
  waitedFor(): Promise<void>;
  release(): Promise<void>;
}

/** Another session's ACCESS EXCLUSIVE lock: a backup waits for it, at a known place. */
async function blockTable(table: string): Promise<Blocker> {
  const client = new pg.Client({ connectionString: cluster.url("shop") });
  await client.connect();
  await client.query(`begin; lock table ${table} in access exclusive mode`);
  let open = true;
  const release = async (): Promise<void> => {
    if (open) await client.end();
    open = false;
  };
  return {
    waitedFor: async () => {
      // On connections of their own: a transaction sees pg_stat_activity as it first saw it.
      const waiting = `select pid from pg_stat_activity
        where application_name like 'sparekeep %' and wait_event_type = 'Lock'`;
      while ((await cluster.query(waiting)).length === 0)
        await cluster.query("select pg_sleep(0.02)");
    },
    release,
    [Symbol.asyncDispose]: release,
  };
}
