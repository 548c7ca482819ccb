import { cp } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { AppError, toAppError } from "../../src/kernel/index.ts";
import { createTemporaryFolder } from "../../src/objectstore/testing/index.ts";
import {
  executeRepairIndex,
  executeRepairPacks,
  executeRepairSnapshots,
  planRepairIndex,
  planRepairPacks,
  planRepairSnapshots,
} from "../../src/repository/index.ts";
import type { Repository } from "../../src/repository/index.ts";
import { filesBelow } from "../support/restic-files.ts";
import { openOurs, storeAt, WRITER } from "../support/restic-repository.ts";
import { createRestic, NEWEST_RESTIC, OLDEST_RESTIC } from "../support/restic.ts";
import { DAMAGES, GoldenCopy } from "./golden/damage.ts";
import { GOLDEN_PASSWORD } from "./golden/make.ts";

const GOLDEN = join(import.meta.dirname, "golden/repository");
const EXECUTE = { owner: WRITER };

/** What a repair cannot bring back: the key or the config is needed from another copy. Everything else is clean for stock restic afterwards. */
const BEYOND_REPAIR: Readonly<Record<string, string>> = {
  "one bit of the only key is flipped": "repository.key_damaged",
  "no key is left": "repository.key_damaged",
  "one bit of the config is flipped": "repository.config_damaged",
  "the config is missing": "repository.not_found",
  "the config is empty": "repository.config_damaged",
};

/** Repaired as far as blobs go, and still not clean for stock restic, with its words. */
const LEFT_TO_PEOPLE: Readonly<Record<string, RegExp>> = {
  // The names are what somebody stored: another name would be an invention.
  "a tree names entries that lead outside": /node with empty name/,
  // Removing a key is `key remove`, by the person whose key it is.
  "one bit of another key is flipped": /LoadRaw\(<key\/0000000000>\)/,
};

interface Repaired {
  readonly index: string;
  readonly packs: string;
  readonly snapshots: string;
}

const short = (ids: readonly string[]): string => ids.map((id) => id.slice(0, 8)).join(" ");

/** Index, packs, index again (what the packs took away is nowhere then), snapshots: the order of the guide. */
async function repairAll(repository: Repository): Promise<Repaired> {
  const index = await planRepairIndex(repository);
  if (index.needed) await executeRepairIndex(index, EXECUTE);
  const packs = await planRepairPacks(repository);
  if (packs.needed) await executeRepairPacks(packs, EXECUTE);
  const snapshots = await planRepairSnapshots(repository, { forget: true });
  if (snapshots.needed) await executeRepairSnapshots(snapshots, EXECUTE);
  const again = [
    await planRepairIndex(repository),
    await planRepairPacks(repository),
    await planRepairSnapshots(repository),
  ];
  expect(again.map(({ needed }) => needed)).toEqual([false, false, false]);
  const changes = index.packs.map((p) => `${p.pack.slice(0, 8)} +${p.added} -${p.dropped}`);
  const files = `unreadable ${index.unreadableIndexes.length} replaced ${index.replacedIndexes.length}`;
  const damaged = packs.packs.map(
    (p) =>
      `${p.pack.slice(0, 8)} salvaged ${p.salvaged} damaged ${p.damaged} lost ${p.lost.length}`,
  );
  const repairs = snapshots.repairs.map(
    ({ snapshot, changes }) =>
      `${snapshot.slice(0, 8)}: ${changes.map(({ path, what }) => `${what} ${path}`).join(", ")}`,
  );
  const rest = `beyond ${short(snapshots.beyondRepair)} unreadable ${short(snapshots.unreadable)}`;
  return {
    index: [files, ...changes, `locks ${index.unreadableLocks.length}`].join("; "),
    packs: damaged.join("; "),
    snapshots: [...repairs, rest].join("; "),
  };
}

describe("a damaged repository is repaired", () => {
  test.for(DAMAGES)("where $name", async ({ name, apply }) => {
    await using folder = await createTemporaryFolder();
    const copy = join(folder.path, "repository");
    await cp(GOLDEN, copy, { recursive: true });
    await apply(await GoldenCopy.open(copy));
    const repository = await openOurs(storeAt(copy), GOLDEN_PASSWORD).catch(toAppError);
    const beyond = repository instanceof AppError ? repository.code : undefined;
    expect(beyond).toEqual(BEYOND_REPAIR[name]);
    if (repository instanceof AppError) return;
    expect(await repairAll(repository)).toMatchSnapshot(name);
    await using restic = await createRestic(NEWEST_RESTIC, copy, GOLDEN_PASSWORD);
    const checked = await restic.run(["check", "--read-data"], { codes: [0, 1] });
    const left = LEFT_TO_PEOPLE[name];
    expect([checked.code, checked.stderr]).toEqual([
      left === undefined ? 0 : 1,
      expect.stringMatching(left ?? ""),
    ]);
    const { findings } = await repository.check({ readData: true });
    const errors = findings.filter(({ severity }) => severity === "error");
    // Names that no file can have, and a key file that is no key, are nothing that a repair of blobs changes.
    expect(errors.filter(({ code }) => code !== "name_unusable" && code !== "key_damaged")).toEqual(
      [],
    );
  });
});

// Of 0.14 every restore failed before the repair, of the newest about half.
describe.for([OLDEST_RESTIC, NEWEST_RESTIC])(
  "restic %s after the repair of a poisoned index",
  (version) => {
    test("restores an older snapshot whole, each of ten times", async () => {
      await using folder = await createTemporaryFolder();
      const copy = join(folder.path, "repository");
      await cp(GOLDEN, copy, { recursive: true });
      await using restic = await createRestic(version, copy, GOLDEN_PASSWORD);
      const restore = async (name: string): Promise<Map<string, string>> => {
        const target = join(folder.path, name);
        await restic.run(["restore", "latest", "--target", target, "--no-cache"]);
        return await filesBelow(target);
      };
      const before = await restore("before");
      const golden = await GoldenCopy.open(copy);
      // Every blob once more, in packs that are not there, in indexes that restic may read first or last.
      for (const { json } of await golden.indexes()) {
        for (const nowhere of ["ab", "00", "ff"]) {
          const packs = json.packs.map(({ blobs }) => ({ id: nowhere.repeat(32), blobs }));
          await golden.addSealed("index", { packs });
        }
      }
      const plan = await planRepairIndex(await openOurs(storeAt(copy), GOLDEN_PASSWORD));
      expect(plan.missingPacks).toHaveLength(3);
      await executeRepairIndex(plan, EXECUTE);
      for (let time = 1; time <= 10; time += 1) {
        expect(await restore(`after ${time}`)).toEqual(before);
      }
    });
  },
);
