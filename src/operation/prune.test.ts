import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Bytes } from "../kernel/index.ts";
import { destinationNamed, parsePolicy } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import type { OperationContext } from "./context.ts";
import { init } from "./init.ts";
import { openDestination } from "./open.ts";
import { lifetimeDays, planRepositoryPrune } from "./prune.ts";
import { testContext } from "./testing/context.ts";

let folder: string;
let context: OperationContext;
let policy: Policy;

const TEXT = `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: DB } } }
destinations: { local: { url: ./repo, password: { file: ./key } } }
plans:
  full: { source: db, capture: everything, to: local, keep: { daily: 7, monthly: 12, tags: [audit] } }
  short: { source: db, capture: everything, to: local, keep: "36 hours" }
  free: { source: db, capture: everything, to: local }
`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sparekeep-prune-"));
  context = testContext({ stateDirectory: join(folder, "state") });
  policy = parsePolicy({ text: TEXT, file: "p.yaml", directory: folder });
  await init(context, { policy, generatePassword: true });
});
afterAll(() => rm(folder, { recursive: true }));

async function* content(byte: number): AsyncIterable<Bytes> {
  yield Buffer.alloc(50_000, byte);
}

async function backUp(byte: number): Promise<string> {
  const repository = await openDestination(context, destinationNamed(policy));
  const { hostname, actor: username, pid } = context;
  await using writer = await repository.acquireWriter({ hostname, username, pid });
  await writer.saveFile(["x"], content(byte), { kind: "file", modifiedAt: new Date(0) });
  return (await writer.commit({ time: new Date(byte), paths: ["/x"], tags: ["plan=full"] })).id;
}

test("a prune plans, is recorded, and is carried out once", async () => {
  const gone = await backUp(1);
  await backUp(2);
  await rm(join(folder, "repo/snapshots", gone));
  const steps: string[] = [];
  const planned = await planRepositoryPrune(context, {
    policy,
    graceMs: 0,
    maxUnused: { bytes: 0 },
    onProgress: ({ step }) => steps.push(step),
  });
  expect(planned).toMatchObject({ destination: "local", plan: { graceMs: 0, missing: [] } });
  expect(planned.plan.remove.packs).toBeGreaterThan(0);
  const result = await planned.execute();
  expect(result).toMatchObject({
    outcome: "complete",
    removed: { packs: planned.plan.remove.packs },
  });
  expect(new Set(steps)).toEqual(new Set(["indexes", "trees", "index", "remove"]));
  await expect(planned.execute()).rejects.toMatchObject({ code: "repository.prune_plan_spent" });
  const log = await readFile(join(folder, "state/shop/audit.jsonl"), "utf8");
  const records = log.split("\n").filter((line) => line.includes('"action":"prune"'));
  expect(records.map((line) => /"step":"(\w+)"/.exec(line)?.[1])).toEqual([
    "plan",
    "execute",
    "execute",
  ]);
  const repository = await openDestination(context, destinationNamed(policy));
  const { findings } = await repository.check({ readData: true });
  expect(findings).toEqual([]);
});

describe("how long a snapshot is kept", () => {
  test.for([
    [["plan=full"], 12 * 31],
    [["plan=full", "audit"], Infinity],
    [["plan=short"], 1.5],
    [["plan=free"], Infinity],
    [["plan=of another policy"], Infinity],
    [[], Infinity],
  ] as const)("%j: %d days", ([tags, days]) => {
    expect(lifetimeDays(policy, { tags })).toBe(days);
  });
});
