import { cp, readFile, rm } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCliBench } from "../support/cli.ts";
import type { CliBench } from "../support/cli.ts";
import { leakedSessions, startCluster } from "../support/cluster.ts";
import type { Cluster } from "../support/cluster.ts";
import { filesBelow } from "../support/restic-files.ts";
import { createRestic, OLDEST_RESTIC } from "../support/restic.ts";

/** Every write rather than one of each kind. */
const LONG = process.env["TEST_LONG"] === "1";
const PRELOAD = new URL("./crash/preload.ts", import.meta.url).href;

const SCRIPT = `
  create table part (id bigint generated always as identity primary key, name text not null);
  insert into part (name) select 'part ' || i from generate_series(1, 20000) i;
  create table noise (at int, bytes bytea);`;
/** Does not compress; 24 MB are more than one pack. */
const NOISE = `
  insert into noise select min(i), string_agg(decode(md5(random()::text), 'hex'), '')
    from generate_series(1, ${LONG ? 1_500_000 : 100_000}) i group by i % 600;
  update part set name = name || ' changed' where id % 100 = 0;`;

let cluster: Cluster;
let bench: CliBench;
/** Of the snapshot before the cut, as restic restores it. */
let earlier: { readonly id: string; readonly files: Map<string, string> };
let writes: readonly string[];

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.createDatabase("shop");
  await cluster.psql(SCRIPT, "shop");
  bench = await createCliBench({ DATABASE_URL: cluster.url("shop") });
  const made = await bench.run(["init", "--connection-env", "DATABASE_URL", "--to", "repo"]);
  expect(made).toMatchObject({ code: 0 });
  const { document } = await bench.json(["backup"]);
  earlier = {
    id: String(document["snapshot"]),
    files: await restored(String(document["snapshot"])),
  };
  await cluster.psql(NOISE, "shop");
  await cp(bench.path("repo"), bench.path("pristine"), { recursive: true });
  const lived = await backUpUntil("0 after");
  expect(lived).toMatchObject({ code: 0 });
  writes = (await readFile(bench.path("writes"), "utf8")).trimEnd().split("\n");
});

afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
});

async function restored(snapshot: string): Promise<Map<string, string>> {
  const password = (await readFile(bench.path("sparekeep.password"), "utf8")).trim();
  await using restic = await createRestic(OLDEST_RESTIC, bench.path("repo"), password);
  await restic.run(["unlock"]);
  await restic.run(["check", "--read-data"]);
  await rm(bench.path("out"), { recursive: true, force: true });
  await restic.run(["restore", snapshot, "--target", bench.path("out")]);
  return filesBelow(bench.path("out"));
}

function backUpUntil(at: string): ReturnType<CliBench["run"]> {
  const env = {
    NODE_OPTIONS: `--import ${PRELOAD}`,
    CRASH_FOLDER: bench.path("repo"),
    CRASH_LOG: bench.path("writes"),
    CRASH_AT: at,
  };
  return bench.run(["backup", "--json"], { env });
}

function chosenCuts(): { at: string; key: string }[] {
  const all = writes.flatMap((key, index) =>
    ["before", "after"].map((moment) => ({ at: `${index + 1} ${moment}`, key })),
  );
  if (LONG) return all;
  // The last packs, the index, the snapshot and the lock: one of each kind, at its last write.
  const kindOf = ({ at, key }: { at: string; key: string }): string =>
    `${key.split("/")[0]} ${at.split(" ")[1]}`;
  return all.filter(
    (cut, at) => all.findLastIndex((other) => kindOf(other) === kindOf(cut)) === at,
  );
}

describe("the program killed in the middle of a backup of a real database", () => {
  test("reports no success, leaves a clean repository, and the next backup is complete", async () => {
    const cuts = chosenCuts();
    const kinds = new Set(writes.map((key) => key.split("/")[0]));
    const expected = ["put locks", "put data", "put index", "put snapshots", "remove locks"];
    expect(kinds).toEqual(new Set([...expected, "put sparekeep"]));
    expect(cuts.length).toBeGreaterThanOrEqual(LONG ? 14 : 4);
    for (const { at, key } of cuts) {
      const where = `killed at ${at} (${key})`;
      await rm(bench.path("repo"), { recursive: true });
      await cp(bench.path("pristine"), bench.path("repo"), { recursive: true });
      const killed = await backUpUntil(at);
      const { code, stdout, stderr } = killed;
      expect({ where, code, stdout, stderr }).toMatchObject({ where, code: null, stdout: "" });
      expect([where, await restored(earlier.id)]).toEqual([where, earlier.files]);

      const { document } = await bench.json(["snapshots"]);
      const snapshots = document["snapshots"];
      const count = Array.isArray(snapshots) ? snapshots.length : -1;
      // Durable and not reported is no lie; reported and not durable would be one.
      const durable = /^\d+ after$/.test(at) && key.startsWith("put snapshots");
      const isThere = durable || /^(remove locks|put sparekeep)/.test(key);
      expect([where, count]).toEqual([where, isThere ? 2 : 1]);
      // Proven only when its record is durable: the last thing before a run calls itself a success.
      const proven = !isThere || (/^\d+ after$/.test(at) && key.startsWith("put sparekeep"));
      const newest: unknown = Array.isArray(snapshots) ? snapshots.at(-1) : undefined;
      expect([where, newest]).toMatchObject([where, { state: proven ? "verified" : "stored" }]);

      const next = await bench.json(["backup"]);
      expect([where, next.code, next.document["outcome"]]).toEqual([where, 0, "complete"]);
      const checked = await bench.run(["check", ...(LONG ? ["--read-data"] : [])]);
      expect([where, checked.code]).toEqual([where, 0]);
      expect([where, await leakedSessions(cluster)]).toEqual([where, []]);
    }
    // The chain of audit records went through all of it.
    const { document } = await bench.json(["doctor"]);
    expect(JSON.stringify(document)).toContain("audit");
    expect(document).toMatchObject({ outcome: "ok" });
  }, 1_800_000);
});
