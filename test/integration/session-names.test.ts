import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createCliBench } from "../support/cli.ts";
import type { CliBench } from "../support/cli.ts";
import { startCluster } from "../support/cluster.ts";
import type { Cluster } from "../support/cluster.ts";

/** Whoever looks into `pg_stat_activity` knows whose a session is: by the server's own log, which misses none. */

const LOGGED = { log_connections: "on", log_line_prefix: "%a|" };
const SCRIPT = `
  CREATE TABLE orders (id int PRIMARY KEY, note text);
  INSERT INTO orders SELECT i, 'order ' || i FROM generate_series(1, 100) i;
  CREATE INDEX ON orders (note);
  CREATE MATERIALIZED VIEW busy AS SELECT count(*) FROM orders;
  SELECT lo_from_bytea(0, 'large');`;

/** Nobody but the program talks to either server meanwhile. */
async function namesDuring(
  clusters: readonly Cluster[],
  work: () => Promise<void>,
): Promise<string[]> {
  const logs = clusters.map(({ folder }) => join(folder, "log"));
  const lengths = await Promise.all(logs.map(async (log) => (await readFile(log, "utf8")).length));
  await work();
  const names = new Set<string>();
  for (const [at, log] of logs.entries()) {
    const text = (await readFile(log, "utf8")).slice(lengths[at]);
    for (const line of text.split("\n").filter((one) => one.includes("connection authorized:"))) {
      const name = / application_name=(.*)$/.exec(line)?.[1] ?? `without a name: ${line}`;
      names.add(name.replaceAll(/\d+/g, "N"));
    }
  }
  return [...names].toSorted();
}

async function run(bench: CliBench, line: string): Promise<void> {
  const { code, stderr } = await bench.run([...line.split(" "), "--quiet"]);
  expect({ line, code, stderr }).toEqual({ line, code: 0, stderr: "" });
}

test("every session of every verb has a name of ours, at the source and at the target", async () => {
  await using source = await startCluster({ settings: LOGGED });
  await source.psql(SCRIPT, "postgres");
  await using target = await startCluster({ settings: LOGGED });
  await using bench = await createCliBench({
    DATABASE_URL: source.url("postgres"),
    TARGET_URL: target.url("restored"),
  });
  const atSource = await namesDuring([source], async () => {
    await run(bench, "init --connection-env DATABASE_URL --to repo");
    await run(bench, "doctor");
    await run(bench, "backup");
    await run(bench, "estimate");
    await run(bench, "check");
  });
  expect(atSource.filter((name) => !/^sparekeep [a-z]/.test(name))).toEqual([]);
  expect(atSource).toEqual(
    expect.arrayContaining(["sparekeep copy", "sparekeep doctor", "sparekeep watch"]),
  );
  const atTarget = await namesDuring([source, target], () =>
    run(bench, "restore latest --to-env TARGET_URL --create --yes"),
  );
  expect(atTarget.filter((name) => !/^sparekeep [a-z]/.test(name))).toEqual([]);
  expect(atTarget).toEqual(
    expect.arrayContaining(["sparekeep restore", "sparekeep restore admin"]),
  );
});
