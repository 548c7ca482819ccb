import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { collectBytes, Secret, systemClock } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { destinationNamed, parsePolicy } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import { saveProof } from "../repository/index.ts";
import type { Repository } from "../repository/index.ts";
import { acceptPoint } from "./accept.ts";
import { auditFolder } from "./audit-log.ts";
import type { OperationContext } from "./context.ts";
import { countCopies } from "./copies.ts";
import { planCopies } from "./copy.ts";
import { dumpFile } from "./dump.ts";
import { init } from "./init.ts";
import { listEntries } from "./ls.ts";
import { openDestination } from "./open.ts";
import { formatManifest } from "../manifest/index.ts";
import { manifestOfOnePart } from "./testing/manifest.ts";
import { planDatabaseRestore } from "./restore.ts";
import { planRekey } from "./rekey.ts";
import { planSnapshotRewrite } from "./rewrite.ts";
import { listSnapshots } from "./snapshots.ts";
import { testContext } from "./testing/context.ts";

let folder: string;
let context: OperationContext;
let policy: Policy;

const TEXT = `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: DB } } }
destinations:
  main: { url: ./main, password: { file: ./main.key }, copies: [near, far] }
  near: { url: ./near, password: { file: ./near.key } }
  far: { url: ./far, password: { file: ./far.key } }
  fresh: { url: ./fresh, password: { file: ./fresh.key } }
plans:
  full: { source: db, capture: everything, to: main }
  other: { source: db, capture: everything, to: main }
`;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sparekeep-copy-"));
  // A lock waits before it looks again; nobody else is here.
  const clock = { ...systemClock, sleep: () => Promise.resolve() };
  context = testContext({ stateDirectory: join(folder, "state"), clock });
  policy = parsePolicy({ text: TEXT, file: "p.yaml", directory: folder });
  const destinations = ["main", "near", "far"];
  await init(context, { policy, generatePassword: true, destinations });
  await writeFile(join(folder, "fresh.key"), "vast orbit 93 quilt, none of the others\n", {
    mode: 0o600,
  });
});
afterEach(() => rm(folder, { recursive: true }));

async function* content(text: string): AsyncIterable<Bytes> {
  yield Buffer.from(text);
}

function open(name: string): Promise<Repository> {
  return openDestination(context, destinationNamed(policy, name));
}

async function save(day: number, tags: readonly string[]): Promise<string> {
  const repository = await open("main");
  const { hostname, actor: username, pid } = context;
  await using writer = await repository.acquireWriter({ hostname, username, pid });
  const metadata = { kind: "file", modifiedAt: new Date(0) } as const;
  await writer.saveFile(["letters", "jane"], content("dear jane"), metadata);
  await writer.saveFile(["day"], content(`day ${day}`), metadata);
  const time = new Date(Date.UTC(2026, 10, day));
  return (await writer.commit({ time, paths: ["/"], tags })).id;
}

const GOOD = ["plan=full", "source=db"];

async function timesIn(name: string): Promise<readonly number[]> {
  return (await (await open(name)).snapshots()).map(({ time }) => time.getUTCDate());
}

describe("copies that the policy names", () => {
  test("get every good point, and what else when it is named", async () => {
    await save(1, GOOD);
    const incomplete = await save(2, [...GOOD, "outcome=incomplete"]);
    await save(3, ["plan=other", "source=db"]);
    await save(4, ["by=hand"]);
    const planned = await planCopies(context, { policy });
    expect(
      planned.previews.map(({ from, to, plan, leftOut }) => [from, to, plan.copy.length, leftOut]),
    ).toEqual([
      ["main", "near", 2, { incomplete: 1, foreign: 1 }],
      ["main", "far", 2, { incomplete: 1, foreign: 1 }],
    ]);
    expect(await planned.execute()).toMatchObject({ outcome: "complete", failed: [] });
    expect(await timesIn("near")).toEqual([1, 3]);
    expect(await timesIn("far")).toEqual([1, 3]);

    const again = await (await planCopies(context, { policy, to: "near" })).execute();
    expect(again.copies).toMatchObject([{ to: "near", copied: [], writtenBytes: 0 }]);
    const one = { policy, to: "near", snapshots: [incomplete.slice(0, 12)] };
    await (await planCopies(context, one)).execute();
    expect(await timesIn("near")).toEqual([1, 2, 3]);
    await save(5, ["plan=other", "source=db"]);
    await save(6, GOOD);
    await (await planCopies(context, { policy, to: "far", plan: "full" })).execute();
    expect(await timesIn("far")).toEqual([1, 3, 6]);
  });

  test("are suspect where the point is, also when the doubt comes later, until accepted there", async () => {
    const snapshot = await save(1, GOOD);
    await (await planCopies(context, { policy, to: "near" })).execute();
    await saveProof(await open("main"), { snapshot, state: "suspect", by: "guard" });
    const stateOf = async (): Promise<readonly string[]> =>
      (await listSnapshots(context, { policy, destination: "near" })).map(({ state }) => state);
    expect(await stateOf()).toEqual(["stored"]);
    await (await planCopies(context, { policy, to: "near" })).execute();
    expect(await stateOf()).toEqual(["suspect"]);
    const [copy] = await (await open("near")).snapshots();
    const accepted = { policy, destination: "near", snapshot: copy?.id ?? "", reason: "looked" };
    await acceptPoint(context, accepted);
    await (await planCopies(context, { policy, to: "near" })).execute();
    expect(await stateOf()).toEqual(["stored"]);
  });

  test("are refused where none is named", async () => {
    for (const asked of [
      { destination: "near" },
      { to: "fresh" },
      { destination: "main", to: "main" },
    ]) {
      await expect(planCopies(context, { policy, ...asked })).rejects.toMatchObject({
        code: "operation.no_copies",
      });
    }
  });

  test("of which one cannot be reached are made in the others, and the result says so", async () => {
    await save(1, GOOD);
    await rm(join(folder, "near", "config"));
    const result = await (await planCopies(context, { policy })).execute();
    expect(result).toMatchObject({
      outcome: "incomplete",
      copies: [{ to: "far", outcome: "complete" }],
      failed: [{ from: "main", to: "near", code: "repository.not_found" }],
    });
    await expect(planCopies(context, { policy, to: "near" })).rejects.toMatchObject({
      code: "repository.not_found",
    });
  });

  test("are counted from what the repositories answer", async () => {
    await save(1, GOOD);
    await (await planCopies(context, { policy, to: "near" })).execute();
    await save(2, GOOD);
    await (await planCopies(context, { policy, to: "far" })).execute();
    const [full, other] = await countCopies(context, { policy, check: true });
    expect(full).toMatchObject({
      plan: "full",
      met: "no",
      short: 2,
      points: [
        { copies: { count: 2, met: "yes" }, offsite: { count: 0, met: "no" } },
        { copies: { count: 3, met: "yes" } },
      ],
      newest: { immutable: { met: "no" }, errors: { count: 0, met: "yes" } },
    });
    expect(other).toMatchObject({ plan: "other", newest: undefined, met: "no" });
    await rm(join(folder, "far", "config"));
    const [later] = await countCopies(context, { policy, plan: "full", check: false });
    expect(later).toMatchObject({
      newest: { copies: { count: 1, met: "unknown" }, errors: { met: "unknown" } },
    });
    expect(later?.destinations[2]?.trouble).toMatch(/no repository/);
  });
});

describe("rewrite", () => {
  const asked = { snapshots: "all", without: ["letters/jane"], reason: "request 17" } as const;

  test("shows what is left out and what remains, and ls and dump say that it was erased", async () => {
    const first = await save(1, GOOD);
    const second = await save(2, GOOD);
    const some = { policy, destination: "main", ...asked, forget: true };
    const planned = await planSnapshotRewrite(context, { ...some, snapshots: [second] });
    expect(planned.preview).toMatchObject({
      destination: "main",
      rewrite: [{ snapshot: { id: second }, paths: [{ path: "letters/jane", files: 1 }] }],
      remains: { snapshots: [{ snapshot: { id: first } }], copies: ["far", "near"], packs: 1 },
    });
    const done = await planned.execute();
    expect(done).toMatchObject({ outcome: "complete", forgotten: [second] });
    const at = { policy, destination: "main", snapshot: "latest", path: "letters/jane" };
    await expect(dumpFile(context, at)).rejects.toMatchObject({
      code: "operation.erased",
      message: expect.stringMatching(/erased from this snapshot on .* by ann: request 17$/),
    });
    await expect(listEntries(context, { ...at, recursive: true })).rejects.toMatchObject({
      code: "operation.erased",
    });
    await expect(dumpFile(context, { ...at, path: "letters/joe" })).rejects.toMatchObject({
      code: "repository.path_not_found",
    });
    const { content: left } = await dumpFile(context, { ...at, snapshot: first });
    expect(Buffer.from(await collectBytes(left)).toString()).toBe("dear jane");

    // The log is for ever: it says that, by whom and why, and not what.
    const log = await readFile(join(auditFolder(context, policy), "audit.jsonl"), "utf8");
    const rewrites = log.split("\n").filter((line) => line.includes('"rewrite"'));
    expect(rewrites).toHaveLength(2);
    expect(rewrites.join("")).toContain("request 17");
    expect(rewrites.join("")).not.toContain("jane");
  });

  test("goes with the copies: an erased file is told as erased there too", async () => {
    await save(1, GOOD);
    const all = { policy, destination: "main", ...asked, forget: true };
    await (await planSnapshotRewrite(context, all)).execute();
    await (await planCopies(context, { policy, to: "far" })).execute();
    const at = { policy, destination: "far", snapshot: "latest", path: "letters/jane" };
    await expect(dumpFile(context, at)).rejects.toMatchObject({ code: "operation.erased" });
  });
});

describe("a restore of a snapshot without a file of its database", () => {
  test("says that it was erased, before it looks at the target", async () => {
    const repository = await open("main");
    const { hostname, actor: username, pid } = context;
    const part = "database/tables/public/parts/0000.copy";
    const manifest = manifestOfOnePart(part);
    {
      await using writer = await repository.acquireWriter({ hostname, username, pid });
      const metadata = { kind: "file", modifiedAt: new Date(0) } as const;
      const text = Buffer.from(formatManifest(manifest)).toString();
      await writer.saveFile(["manifest.json"], content(text), metadata);
      await writer.saveFile(part.split("/"), content("1\n2\n"), metadata);
      await writer.commit({ time: new Date(0), paths: ["/"], tags: GOOD });
    }
    const asked = { policy, destination: "main", snapshots: "all", reason: "r" } as const;
    const without = [part.split("/").slice(0, -1).join("/")];
    await (await planSnapshotRewrite(context, { ...asked, without, forget: true })).execute();
    const target = new Secret("postgres://nobody@127.0.0.1:1/nowhere");
    const options = { policy, destination: "main", snapshot: "latest", target };
    await expect(
      planDatabaseRestore(context, { ...options, create: false, trustSource: false }),
    ).rejects.toMatchObject({
      code: "operation.erased",
      message: expect.stringContaining(`${part}, erased from this snapshot`),
    });
  });
});

describe("rekey", () => {
  test("moves everything to a new key, and the same call completes an interrupted one", async () => {
    await save(1, GOOD);
    await save(2, [...GOOD, "outcome=incomplete"]);
    const options = { policy, destination: "main", to: "fresh", readData: true };
    const planned = await planRekey(context, options);
    expect(planned.preview).toMatchObject({ create: true, snapshots: 2, present: 0 });
    // Nothing is there after a plan.
    await expect(open("fresh")).rejects.toMatchObject({ code: "repository.not_found" });
    expect(await planned.execute()).toMatchObject({
      outcome: "complete",
      missing: [],
      findings: [],
      copy: { sourceLock: "held" },
    });
    const [old, fresh] = [await open("main"), await open("fresh")];
    expect(fresh.id).not.toBe(old.id);
    expect(Buffer.from(fresh.deriveKey("x"))).not.toEqual(Buffer.from(old.deriveKey("x")));
    const trees = async (repository: Repository): Promise<readonly string[]> =>
      (await repository.snapshots()).map(({ tree }) => tree);
    expect(await trees(fresh)).toEqual(await trees(old));

    await save(3, GOOD);
    const next = await planRekey(context, options);
    expect(next.preview).toMatchObject({ create: false, snapshots: 1, present: 2 });
    expect(await next.execute()).toMatchObject({ outcome: "complete", missing: [] });
    expect(await timesIn("main")).toEqual([1, 2, 3]);
  });

  test("is refused with the old password, and into a repository of something else", async () => {
    await save(1, GOOD);
    await writeFile(join(folder, "fresh.key"), await readFile(join(folder, "main.key")));
    const options = { policy, destination: "main", to: "fresh", readData: false };
    await expect(planRekey(context, options)).rejects.toMatchObject({
      code: "operation.rekey_same_password",
    });
    await (await planCopies(context, { policy, to: "far" })).execute();
    await expect(
      planRekey(context, { ...options, destination: "near", to: "far" }),
    ).rejects.toMatchObject({ code: "operation.rekey_target_taken" });
  });
});
