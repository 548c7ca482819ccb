import { cp } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { toAppError } from "../../src/kernel/index.ts";
import { createTemporaryFolder } from "../../src/objectstore/testing/index.ts";
import { restoreFiles } from "../../src/repository/index.ts";
import type { Repository } from "../../src/repository/index.ts";
import { entriesOf, filesBelow } from "../support/restic-files.ts";
import { openOurs, storeAt } from "../support/restic-repository.ts";
import { createRestic, NEWEST_RESTIC } from "../support/restic.ts";
import { DAMAGES, GoldenCopy } from "./golden/damage.ts";
import { GOLDEN_PASSWORD } from "./golden/make.ts";

const GOLDEN = join(import.meta.dirname, "golden/repository");

interface Verdict {
  readonly open: string;
  readonly check?: readonly string[];
  readonly checkReadData?: readonly string[];
  /** By snapshot, oldest first: `whole`, or the code of the first error on the way. */
  readonly read?: readonly string[] | string;
}

async function verdictOn(folder: string): Promise<Verdict> {
  let repository: Repository;
  try {
    repository = await openOurs(storeAt(folder), GOLDEN_PASSWORD);
  } catch (thrown) {
    return { open: toAppError(thrown).code };
  }
  const check = await findings(repository, false);
  const checkReadData = await findings(repository, true);
  return { open: "opened", check, checkReadData, read: await readings(repository) };
}

async function findings(repository: Repository, readData: boolean): Promise<readonly string[]> {
  const { findings } = await repository.check({ readData });
  return findings.map(({ severity, code, subject }) => {
    const about = Object.entries(subject).map(([what, value]) => `${what}=${value.slice(0, 12)}`);
    return [severity, code, ...about].join(" ");
  });
}

async function readings(repository: Repository): Promise<readonly string[] | string> {
  try {
    const reader = await repository.acquireReader();
    const read: string[] = [];
    for (const snapshot of await repository.snapshots()) {
      const found = await entriesOf(reader, reader.entries(snapshot)).then(
        () => "whole",
        (thrown: unknown) => toAppError(thrown).code,
      );
      read.push(found);
    }
    return read;
  } catch (thrown) {
    return toAppError(thrown).code;
  }
}

/** The newest, because 0.14 asks for 40 seconds for what is missing. */
async function isCleanForRestic(folder: string): Promise<boolean> {
  await using restic = await createRestic(NEWEST_RESTIC, folder, GOLDEN_PASSWORD);
  const { code } = await restic.run(["check", "--read-data", "--no-lock"], {
    codes: [0, 1, 2, 10, 12],
  });
  return code === 0;
}

describe("a damaged repository", () => {
  test.for(DAMAGES)("where $name", async ({ name, apply }) => {
    await using folder = await createTemporaryFolder();
    const copy = join(folder.path, "repository");
    await cp(GOLDEN, copy, { recursive: true });
    await apply(await GoldenCopy.open(copy));
    const verdict = await verdictOn(copy);
    expect(verdict).toMatchSnapshot(name);
    // What restic finds when it reads everything, we do not call clean.
    const found = verdict.checkReadData?.some((finding) => finding.startsWith("error")) ?? true;
    expect(found || (await isCleanForRestic(copy))).toBe(true);
  });

  test("with entries that lead outside is restored inside its target only", async () => {
    await using folder = await createTemporaryFolder();
    const copy = join(folder.path, "repository");
    await cp(GOLDEN, copy, { recursive: true });
    const damage = DAMAGES.find(({ name }) => name === "a tree names entries that lead outside");
    await damage?.apply(await GoldenCopy.open(copy));
    const before = await filesBelow(folder.path);
    const repository = await openOurs(storeAt(copy), GOLDEN_PASSWORD);
    const reader = await repository.acquireReader();
    const snapshot = await repository.resolveSnapshot("latest");
    const target = join(folder.path, "target");
    const { files } = await restoreFiles(reader, snapshot, target);
    expect(files).toBe(6);
    const after = await filesBelow(folder.path);
    const fresh = [...after.keys()].filter((path) => !before.has(path));
    expect(fresh.filter((path) => path !== "target" && !path.startsWith("target/"))).toEqual([]);
    expect(fresh).toHaveLength(7);
  });
});
