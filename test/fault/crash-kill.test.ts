import { spawn } from "node:child_process";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTemporaryFolder } from "../../src/objectstore/testing/index.ts";
import type { TemporaryFolder } from "../../src/objectstore/testing/index.ts";
import { filesBelow, withoutShards } from "../support/restic-files.ts";
import { expectedFiles, PASSWORD, storeAt } from "../support/restic-repository.ts";
import { createRestic, finish, OLDEST_RESTIC } from "../support/restic.ts";
import type { ResticResult } from "../support/restic.ts";
import { createWithEarlier, earlierFiles } from "./crash/backup.ts";
import { violationsAfter } from "./crash/violations.ts";

const MOMENTS = ["during", "named", "after"] as const;
type Moment = (typeof MOMENTS)[number];

/** Every write rather than one of each kind. */
const LONG = process.env["TEST_LONG"] === "1";
const child = join(import.meta.dirname, "crash/child.ts");
let origin: TemporaryFolder;
let earlier: string;
/** `put data/…` and so on, in the order of a backup that was let live. */
let writes: readonly string[];

function backUpInChild(folder: string, write: number, moment: Moment): Promise<ResticResult> {
  return finish(spawn(process.execPath, [child, folder, String(write), moment], { stdio: "pipe" }));
}

beforeAll(async () => {
  origin = await createTemporaryFolder();
  earlier = await createWithEarlier(storeAt(origin.path));
  await using folder = await createTemporaryFolder();
  await cp(origin.path, folder.path, { recursive: true });
  const { code, stdout, stderr } = await backUpInChild(folder.path, 0, "after");
  if (code !== 0) throw new Error(stderr);
  const { keys } = JSON.parse(stdout) as { keys: readonly string[] };
  writes = keys;
});

afterAll(() => origin[Symbol.asyncDispose]());

/** Every write in the long run; else those that hurt most. */
function chosenCuts(): { write: number; moment: Moment; key: string }[] {
  const all = writes.flatMap((key, index) =>
    MOMENTS.filter((moment) => key.startsWith("put") || moment !== "named").map((moment) => ({
      write: index + 1,
      moment,
      key,
    })),
  );
  if (LONG) return all;
  const kinds = [
    "put locks after",
    "put data during",
    "put data named",
    "put data after",
    "put index named",
    "put index after",
    "put snapshots during",
    "put snapshots after",
    "remove locks during",
  ];
  const kindOf = ({ key, moment }: { key: string; moment: Moment }): string =>
    `${key.split("/")[0]} ${moment}`;
  return kinds.flatMap((kind) => all.find((cut) => kindOf(cut) === kind) ?? []);
}

describe("a backup killed at its writes", () => {
  test("leaves what restic and we find clean, and the next backup works", async () => {
    const cuts = chosenCuts();
    const kinds = new Set(cuts.map(({ key }) => key.split("/")[0]));
    const expected = ["put data", "put index", "put locks", "put snapshots", "remove locks"];
    expect(kinds).toEqual(new Set(expected));
    const found: string[] = [];
    let killed = 0;
    for (const { write, moment, key } of cuts) {
      const violations = await killAt(write, moment);
      if (violations === "lived") continue;
      killed += 1;
      found.push(...violations.map((violation) => `${moment} ${write} (${key}): ${violation}`));
    }
    expect(found).toEqual([]);
    expect(killed).toBe(cuts.length);
    expect(killed).toBeGreaterThanOrEqual(LONG ? 20 : 8);
  }, 1_800_000);
});

async function killAt(write: number, moment: Moment): Promise<"lived" | string[]> {
  await using folder = await createTemporaryFolder();
  const repository = join(folder.path, "repository");
  await cp(origin.path, repository, { recursive: true });
  const { stdout, stderr } = await backUpInChild(repository, write, moment);
  if (!stderr.includes("ended by SIGKILL")) return "lived";
  const found = await foundByRestic(repository, join(folder.path, "out"));
  // Nothing was printed: no success was reported.
  if (stdout !== "") found.push(`a success was reported: ${stdout}`);
  found.push(...(await violationsAfter(storeAt(repository), { earlier, reported: undefined })));
  if (LONG) found.push(...(await foundByRestic(repository, join(folder.path, "out again"))));
  return found;
}

/** The stock way: the dead process's lock goes, everything is read, the earlier snapshot is restored. */
async function foundByRestic(repository: string, out: string): Promise<string[]> {
  await using restic = await createRestic(OLDEST_RESTIC, repository, PASSWORD);
  await restic.run(["unlock"]);
  const { code, stderr } = await restic.run(["check", "--read-data"], { codes: [0, 1] });
  const found = code === 0 ? [] : [`restic check: ${stderr}`];
  await restic.run(["restore", earlier, "--target", out]);
  const expected = await expectedFiles(earlierFiles);
  const restored = withoutShards(await filesBelow(out));
  for (const [path, file] of expected) {
    if (restored.get(path) !== file) found.push(`restic restored ${path} otherwise`);
  }
  return found;
}
