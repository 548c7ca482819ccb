import { Secret, toAppError } from "../../../src/kernel/index.ts";
import {
  addKey,
  changePassword,
  executeCopy,
  executeForget,
  executePrune,
  executeRewrite,
  planCopy,
  planForget,
  planPrune,
  planRemoveKey,
  planRewrite,
} from "../../../src/repository/index.ts";
import type { Repository, RewritePlan } from "../../../src/repository/index.ts";
import { TEST_COST } from "../../support/restic-repository.ts";
import type { TestFile } from "../../support/restic-repository.ts";
import { openAndSay } from "./judge.ts";
import { contentsOf, IncompleteRun, isoOf, worldWithDays } from "./scenarios.ts";
import type { Scenario } from "./scenarios.ts";
import { openIn, passwordOf } from "./world.ts";
import type { Owner } from "./world.ts";

/** The verbs of a snapshot's life and of keys. */

const HOUR_MS = 3_600_000;

async function forgetOld(repository: Repository, owner: Owner): Promise<void> {
  const plans = [
    { name: "nightly", keep: { last: 3 }, schedule: { kind: "not scheduled" } as const },
  ];
  const question = { plans, windows: [], timezone: "UTC", records: true };
  const plan = await planForget(repository, question, owner);
  const { outcome } = await executeForget(repository, plan, owner);
  if (outcome !== "complete") throw new IncompleteRun("forget that left something");
}

export const forgetScenario: Scenario = {
  verb: "forget",
  prepare: () => worldWithDays("forget", [1, 2, 3, 4, 5, 6, 7, 8]),
  run: async (world, owner) => forgetOld(await openIn(world, "main"), owner),
  expect: async (done) => [
    {
      place: "main",
      contents: await contentsOf([1, 2, 3, 4, 5, 6, 7, 8]),
      required: [6, 7, 8].map(isoOf),
      gone: done ? [1, 2, 3, 4, 5].map(isoOf) : [],
    },
  ],
};

export const pruneScenario: Scenario = {
  verb: "prune",
  prepare: async () => {
    const world = await worldWithDays("prune", [1, 2, 3, 4, 5, 6]);
    await forgetOld(await openIn(world, "main"), { hostname: "h", username: "u", pid: 1 });
    return world;
  },
  // Marks, waits until the grace is over, removes.
  run: async (world, owner) => {
    for (const round of [1, 2]) {
      const repository = await openIn(world, "main");
      const plan = await planPrune(repository, {
        owner,
        graceMs: HOUR_MS,
        maxUnused: { bytes: 0 },
      });
      const { outcome } = await executePrune(repository, plan, { owner });
      if (outcome !== "complete") throw new IncompleteRun("prune that left something");
      if (round === 1) world.clock.advance(2 * HOUR_MS);
    }
  },
  expect: async () => [
    { place: "main", contents: await contentsOf([4, 5, 6]), required: [4, 5, 6].map(isoOf) },
  ],
};

export const copyScenario: Scenario = {
  verb: "copy",
  prepare: async () => {
    const world = await worldWithDays("copy", [1, 2, 3], ["main", "copy"]);
    return world;
  },
  run: async (world, owner) => {
    const source = await openIn(world, "main");
    const target = await openIn(world, "copy");
    const { outcome } = await executeCopy(source, target, await planCopy(source, target), owner);
    if (outcome !== "complete") throw new IncompleteRun("copy that left something");
  },
  expect: async (done) => {
    const contents = await contentsOf([1, 2, 3]);
    const days = [1, 2, 3].map(isoOf);
    return [
      { place: "main", contents, required: days },
      { place: "copy", contents, required: done ? days : [] },
    ];
  },
};

const PERSON = ["person"];

function withoutPerson(files: readonly TestFile[]): readonly TestFile[] {
  const known = REWRITTEN.get(files) ?? files.filter(({ path }) => path[0] !== PERSON[0]);
  REWRITTEN.set(files, known);
  return known;
}
const REWRITTEN = new Map<readonly TestFile[], readonly TestFile[]>();

/** `undefined` where no snapshot holds it any more: a run that was cut had done all of it. */
async function planUnlessErased(repository: Repository): Promise<RewritePlan | undefined> {
  try {
    return await planRewrite(repository, { select: () => true, without: [PERSON] });
  } catch (thrown) {
    if (toAppError(thrown).code === "repository.path_not_found") return undefined;
    throw thrown;
  }
}

export const rewriteScenario: Scenario = {
  verb: "rewrite",
  prepare: () => worldWithDays("rewrite", [1, 2, 3]),
  run: async (world, owner) => {
    const repository = await openIn(world, "main");
    const plan = await planUnlessErased(repository);
    if (plan === undefined) return;
    const options = { ...owner, reason: "asked to be forgotten", forget: true };
    const { outcome } = await executeRewrite(repository, plan, options);
    if (outcome !== "complete") throw new IncompleteRun("rewrite that left something");
  },
  expect: async (done) => [
    {
      place: "main",
      contents: await contentsOf([1, 2, 3], (files) =>
        done ? [withoutPerson(files)] : [files, withoutPerson(files)],
      ),
      required: [1, 2, 3].map(isoOf),
    },
  ],
};

const NEW_PASSWORD = new Secret("yet another horse and a newer battery");

export const passwordScenario: Scenario = {
  verb: "key change",
  prepare: () => worldWithDays("password", [1, 2]),
  run: async (world, owner) => {
    const passwords = [passwordOf("main"), NEW_PASSWORD];
    const { repository, password } = await openAndSay(world, {
      place: "main",
      contents: new Map(),
      required: [],
      passwords,
    });
    if (password === NEW_PASSWORD) return;
    const changed = await changePassword(repository, {
      ...owner,
      password: NEW_PASSWORD,
      cost: TEST_COST,
    });
    if (changed.outcome !== "complete") throw new IncompleteRun("old key that remains");
  },
  expect: async (done) => [
    {
      place: "main",
      contents: await contentsOf([1, 2]),
      required: [1, 2].map(isoOf),
      passwords: done ? [NEW_PASSWORD] : [passwordOf("main"), NEW_PASSWORD],
    },
  ],
};

export const keysScenario: Scenario = {
  verb: "key add and remove",
  prepare: () => worldWithDays("keys", [1]),
  run: async (world, owner) => {
    const repository = await openIn(world, "main");
    const password = passwordOf("main");
    const key = await addKey(repository, { ...owner, password: NEW_PASSWORD, cost: TEST_COST });
    const removal = await planRemoveKey(repository, key, { ...owner, password });
    if ((await removal.execute()).outcome !== "complete")
      throw new IncompleteRun("key that remains");
  },
  expect: async () => [{ place: "main", contents: await contentsOf([1]), required: [isoOf(1)] }],
};
