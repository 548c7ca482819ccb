import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { patternBytes } from "../../src/objectstore/testing/index.ts";
import { createCliBench } from "../support/cli.ts";
import type { CliBench } from "../support/cli.ts";
import { filesBelow } from "../support/restic-files.ts";
import {
  createOurs,
  expectedFiles,
  openOurs,
  saveAll,
  storeAt,
  WRITER,
} from "../support/restic-repository.ts";
import type { TestFile } from "../support/restic-repository.ts";
import { createRestic, OLDEST_RESTIC } from "../support/restic.ts";

/** The program killed in the middle of a copy and of a rewrite, on a disk; stock restic says what is left. */

/** Every write rather than one of each kind. */
const LONG = process.env["TEST_LONG"] === "1";
const PRELOAD = new URL("./crash/preload.ts", import.meta.url).href;
const POLICY = `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: DB } } }
destinations:
  main: { url: ./main, password: { env: MAIN }, copies: [offsite] }
  offsite: { url: ./offsite, password: { env: OFFSITE } }
plans: { full: { source: db, capture: everything, to: main } }
`;

const gone: TestFile = { path: ["letters", "jane"], content: Buffer.from("dear jane") };
const kept: readonly TestFile[] = [
  { path: ["orders"], content: patternBytes(18_000_000, 1), metadata: { kind: "table" } },
  { path: ["letters", "joe"], content: Buffer.from("dear joe") },
];

let bench: CliBench;

beforeAll(async () => {
  bench = await createCliBench({ MAIN: "main password", OFFSITE: "offsite password" });
  await writeFile(bench.path("sparekeep.yaml"), POLICY);
  const main = await createOurs(storeAt(bench.path("main")), "main password");
  await createOurs(storeAt(bench.path("offsite")), "offsite password");
  await using writer = await main.acquireWriter(WRITER);
  await saveAll(writer, [...kept, gone]);
  const time = new Date("2026-11-01T10:00:00Z");
  await writer.commit({ time, paths: ["/"], tags: ["plan=full", "source=db"] });
});
afterAll(() => bench[Symbol.asyncDispose]());

interface Killed {
  readonly verb: readonly string[];
  /** The destination whose writes are cut. */
  readonly where: "main" | "offsite";
  readonly kinds: readonly string[];
  readonly files: readonly TestFile[];
  /** Snapshots that may be there after a cut, and those that are when the next call has ended. */
  readonly between: readonly number[];
}

const CASES: readonly Killed[] = [
  {
    verb: ["copy"],
    where: "offsite",
    kinds: ["put locks", "put data", "put index", "put snapshots", "remove locks"],
    files: [...kept, gone],
    between: [0, 1],
  },
  {
    verb: "rewrite -d main --without letters/jane --all --reason r --forget --yes".split(" "),
    where: "main",
    kinds: [
      "put locks",
      "put data",
      "put index",
      "put sparekeep",
      "put snapshots",
      "remove locks",
      "remove snapshots",
    ],
    files: kept,
    between: [1, 2],
  },
];

function killedAt({ verb, where }: Killed, at: string) {
  const env = {
    NODE_OPTIONS: `--import ${PRELOAD}`,
    CRASH_FOLDER: bench.path(where),
    CRASH_LOG: bench.path("writes"),
    CRASH_AT: at,
  };
  return bench.run([...verb, "--json"], { env });
}

async function checkedByRestic(where: string): Promise<void> {
  await using restic = await createRestic(OLDEST_RESTIC, bench.path(where), `${where} password`);
  await restic.run(["unlock"]);
  await restic.run(["check", "--read-data"]);
}

async function snapshotsIn(where: string): Promise<number> {
  const repository = await openOurs(storeAt(bench.path(where)), `${where} password`);
  return (await repository.snapshots()).length;
}

async function restoredByRestic(where: string): Promise<Map<string, string>> {
  await using restic = await createRestic(OLDEST_RESTIC, bench.path(where), `${where} password`);
  await rm(bench.path("out"), { recursive: true, force: true });
  await restic.run(["restore", "latest", "--target", bench.path("out")]);
  return filesBelow(bench.path("out"));
}

async function writesOf(killed: Killed): Promise<readonly string[]> {
  await rm(bench.path("writes"), { force: true });
  expect(await killedAt(killed, "0 after")).toMatchObject({ code: 0 });
  return (await readFile(bench.path("writes"), "utf8")).trimEnd().split("\n");
}

function chosen(writes: readonly string[]): readonly { at: string; key: string }[] {
  const all = writes.flatMap((key, index) =>
    ["before", "after"].map((moment) => ({ at: `${index + 1} ${moment}`, key })),
  );
  if (LONG) return all;
  // Of each kind its last write, once it is durable: before it is what is left after the one before it.
  const kind = (key: string): string => key.split("/")[0] ?? "";
  return all.filter(
    (cut, at) =>
      cut.at.endsWith("after") &&
      all.findLastIndex((other) => kind(other.key) === kind(cut.key)) === at,
  );
}

describe.for(CASES)("$verb.0 killed at its writes", (killed) => {
  const { where, verb, kinds, files, between } = killed;

  test("leaves what restic finds clean, and the same command completes it", async () => {
    const pristine = bench.path("pristine");
    await rm(pristine, { recursive: true, force: true });
    await cp(bench.path(where), pristine, { recursive: true });
    const writes = await writesOf(killed);
    expect([...new Set(writes.map((key) => key.split("/")[0]))].sort()).toEqual(kinds.toSorted());
    for (const { at, key } of chosen(writes)) {
      const cut = `killed at ${at} (${key})`;
      await rm(bench.path(where), { recursive: true });
      await cp(pristine, bench.path(where), { recursive: true });
      const { code, stdout } = await killedAt(killed, at);
      expect({ cut, code, stdout }).toEqual({ cut, code: null, stdout: "" });
      await checkedByRestic(where);
      expect([cut, between.includes(await snapshotsIn(where))]).toEqual([cut, true]);

      const next = await bench.run([...verb, "--json"]);
      // A rewrite that had done all of it finds nothing more to do.
      const done = verb[0] === "rewrite" && next.stdout.includes("path_not_found");
      expect([cut, next.code === 0 || done, next.stderr]).toEqual([cut, true, ""]);
      if (LONG) await checkedByRestic(where);
      expect([cut, await snapshotsIn(where)]).toEqual([cut, 1]);
      expect([cut, await restoredByRestic(where)]).toEqual([cut, await expectedFiles(files)]);
    }
  }, 900_000);
});
