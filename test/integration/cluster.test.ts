import { existsSync } from "node:fs";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import {
  createTestDatabase,
  failOnLeakedSessions,
  sharedCluster,
  startCluster,
} from "../support/cluster.ts";

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe("throwaway cluster", () => {
  afterEach(async () => {
    await failOnLeakedSessions(await sharedCluster());
  });

  test("answers over TCP and over its socket, by password alone", async () => {
    await using cluster = await startCluster({ superuser: "boss" });
    expect(await cluster.query("SELECT current_user AS me, inet_server_port() AS port")).toEqual([
      { me: "boss", port: cluster.port },
    ]);
    expect(await cluster.psql("SELECT 1;\nSELECT 2;")).toBe("1\n2\n");
    await expect(
      cluster.query("SELECT 1", { role: { name: "boss", password: "wrong" } }),
    ).rejects.toThrow("password authentication failed");
    await using unix = await startCluster({ listen: "unix" });
    expect(await unix.query("SELECT inet_server_addr() AS at")).toEqual([{ at: null }]);
    expect(unix.superuser).not.toBe(cluster.superuser);
    const identifier = "SELECT system_identifier::text AS id FROM pg_control_system()";
    expect(await unix.query(identifier)).not.toEqual(await cluster.query(identifier));
  });

  test("stops, starts again with what it held, and is gone after dispose", async () => {
    const cluster = await startCluster();
    await cluster.query("CREATE TABLE t AS SELECT 1 AS a");
    const first = cluster.pid ?? 0;
    await cluster.stop();
    expect(isAlive(first)).toBe(false);
    await cluster.start();
    expect(await cluster.query("SELECT a FROM t")).toEqual([{ a: 1 }]);
    const second = cluster.pid ?? 0;
    expect(isAlive(second)).toBe(true);
    await cluster[Symbol.asyncDispose]();
    expect(isAlive(second)).toBe(false);
    expect(existsSync(cluster.folder)).toBe(false);
  });

  test("a query under way when the server is stopped rejects, and ends nothing else", async () => {
    await using cluster = await startCluster();
    const queries = Array.from({ length: 8 }, () => cluster.query("SELECT pg_sleep(60)"));
    const settled = Promise.allSettled(queries);
    const sleeping =
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE query LIKE '%sleep(60)'";
    await expect.poll(() => cluster.query(sleeping), { timeout: 20_000 }).toEqual([{ n: 8 }]);
    await cluster.stop("immediate");
    expect((await settled).map(({ status }) => status)).toEqual(queries.map(() => "rejected"));
  });

  test("an abort ends it", async () => {
    const abort = new AbortController();
    const cluster = await startCluster({ signal: abort.signal });
    const pid = cluster.pid ?? 0;
    abort.abort();
    await cluster[Symbol.asyncDispose]();
    expect(isAlive(pid)).toBe(false);
    await expect(startCluster({ signal: abort.signal })).rejects.toThrow("aborted");
  });

  test("nothing is left when the process that started it is killed", async () => {
    const module = join(import.meta.dirname, "../support/cluster.ts");
    const child = spawn(
      process.execPath,
      [
        "-e",
        `import(${JSON.stringify(module)}).then(async ({ startCluster }) => {
           const cluster = await startCluster();
           console.log(JSON.stringify([cluster.pid, cluster.folder]));
           setInterval(() => {}, 1000);
         });`,
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    const [line]: unknown[] = await once(child.stdout.setEncoding("utf8"), "data");
    const [pid, folder] = JSON.parse(String(line));
    expect(isAlive(pid)).toBe(true);
    child.kill("SIGKILL");
    await expect.poll(() => isAlive(pid) || existsSync(folder), { timeout: 10_000 }).toBe(false);
  });

  test("a database of a test's own", async () => {
    await using database = await createTestDatabase({ script: "CREATE TABLE t (a int);" });
    expect(await database.query("SELECT count(*)::int AS n FROM t")).toEqual([{ n: 0 }]);
  });
});
