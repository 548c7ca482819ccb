import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { collectBytes, Secret } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { destinationNamed, parsePolicy } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import type { SnapshotSummary } from "../repository/index.ts";
import { checkRepository } from "./check.ts";
import type { OperationContext } from "./context.ts";
import { dumpFile, saveDump } from "./dump.ts";
import { init } from "./init.ts";
import { loadPolicy } from "./load-policy.ts";
import { listEntries } from "./ls.ts";
import { openDestination } from "./open.ts";
import { entryPath, pathText } from "./path-text.ts";
import { readBack } from "./read-back.ts";
import { planDatabaseRestore } from "./restore.ts";
import { listSnapshots } from "./snapshots.ts";
import { testContext } from "./testing/context.ts";
import { assert, array, property, uint8Array } from "fast-check";

let folder: string;
let context: OperationContext;
let policy: Policy;
let summary: SnapshotSummary;

const TEXT = `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: DB } } }
destinations: { local: { url: ./repo, password: { file: ./key } } }
plans: { full: { source: db, capture: everything, to: local } }
`;

async function* content(text: string): AsyncIterable<Bytes> {
  yield Buffer.from(text);
}

const FILES = new Map([
  ["a/x", 5],
  ["a/%1B[2J", 3],
]);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sparekeep-operation-"));
  context = testContext({ stateDirectory: join(folder, "state") });
  policy = parsePolicy({ text: TEXT, file: "p.yaml", directory: folder });
  const made = await init(context, {
    policy,
    generatePassword: true,
    policyFile: { path: join(folder, "p.yaml"), text: TEXT },
  });
  expect(made).toMatchObject({
    policyFile: join(folder, "p.yaml"),
    destinations: [{ name: "local", created: true, generatedPasswordFile: join(folder, "key") }],
  });
  const repository = await openDestination(context, destinationNamed(policy));
  const { hostname, actor: username, pid } = context;
  await using writer = await repository.acquireWriter({ hostname, username, pid });
  const metadata = { kind: "file", modifiedAt: new Date(0) } as const;
  await writer.saveFile(["a", "x"], content("hello"), metadata);
  await writer.saveFile(["a", "\u001B[2J"], content("odd"), metadata);
  summary = await writer.commit({ time: new Date(0), paths: ["/x"], tags: ["by=hand"] });
});
afterAll(() => rm(folder, { recursive: true }));

describe("init", () => {
  test("never overwrites a policy, and never makes a second password", async () => {
    const policyFile = { path: join(folder, "p.yaml"), text: "other" };
    await expect(
      init(context, { policy, generatePassword: true, policyFile }),
    ).rejects.toMatchObject({ code: "operation.file_exists" });
    expect(await readFile(policyFile.path, "utf8")).toBe(TEXT);
    const again = await init(context, { policy, generatePassword: true });
    expect(again.destinations).toMatchObject([{ created: false }]);
    expect(again.destinations[0]).not.toHaveProperty("generatedPasswordFile");
  });

  test("does not take a repository of another password for its own", async () => {
    await writeFile(join(folder, "other"), "other", { mode: 0o600 });
    const text = TEXT.replace("./key", "./other");
    const other = parsePolicy({ text, file: "o.yaml", directory: folder });
    await expect(init(context, { policy: other, generatePassword: false })).rejects.toMatchObject({
      code: "repository.wrong_password",
    });
  });

  test("says which file cannot be written", async () => {
    const policyFile = { path: join(folder, "no/such/p.yaml"), text: TEXT };
    await expect(
      init(context, { policy, generatePassword: false, policyFile }),
    ).rejects.toMatchObject({
      code: "operation.file_unwritable",
      message: `file ${policyFile.path} that cannot be written: ENOENT`,
    });
  });

  test("makes passwords of 256 random bits", async () => {
    const key = await readFile(join(folder, "key"), "utf8");
    expect(key).toMatch(/^[\w-]{43}\n$/);
  });
});

describe("reading a repository", () => {
  test("a policy file states what parsePolicy reads", async () => {
    expect(await loadPolicy(join(folder, "p.yaml"))).toEqual(policy);
  });

  test("a snapshot without a plan is not claimed as ours", async () => {
    expect(await listSnapshots(context, { policy })).toMatchObject([
      { id: summary.id, outcome: "foreign", tags: ["by=hand"] },
    ]);
  });

  test("what ls prints names the same entry for dump", async () => {
    const { entries } = await listEntries(context, {
      policy,
      snapshot: "latest",
      path: "a",
      recursive: true,
    });
    const paths: string[] = [];
    for await (const entry of entries) if (entry.type === "file") paths.push(entry.path);
    expect(paths.map((path) => path.slice(path.lastIndexOf("/") + 1))).toEqual(["%1B[2J", "x"]);
    const file = await dumpFile(context, { policy, snapshot: "latest", path: "a/%1B[2J" });
    expect(Buffer.from(await collectBytes(file.content)).toString()).toBe("odd");
  });

  test("a dump goes into a new file, whole or not at all", async () => {
    const options = { policy, snapshot: "latest", path: "a/x" };
    const output = join(folder, "x.out");
    expect(await saveDump(context, options, output)).toMatchObject({ sizeBytes: 5 });
    expect(await readFile(output, "utf8")).toBe("hello");
    await expect(saveDump(context, options, output)).rejects.toMatchObject({
      code: "operation.file_exists",
    });
    await expect(saveDump(context, options, join(folder, "no/x"))).rejects.toMatchObject({
      code: "operation.file_unwritable",
    });
  });

  test("check is clean and says how it looked", async () => {
    const steps: string[] = [];
    const result = await checkRepository(context, {
      policy,
      readData: true,
      onProgress: ({ step }) => steps.push(step),
    });
    expect(result).toMatchObject({ outcome: "clean", readData: true, snapshots: 1, findings: [] });
    expect(new Set(steps)).toEqual(new Set(["snapshots", "data"]));
  });

  test("a snapshot without a manifest is no database to restore", async () => {
    await expect(
      planDatabaseRestore(context, {
        policy,
        snapshot: "latest",
        target: new Secret("postgresql://u@127.0.0.1:1/d"),
        create: false,
        trustSource: false,
      }),
    ).rejects.toMatchObject({ code: "operation.not_a_database_snapshot" });
  });
});

describe("the read-back check of a new snapshot", () => {
  const differs = async (expected: ReadonlyMap<string, number>, changes = {}): Promise<string> => {
    const repository = await openDestination(context, destinationNamed(policy));
    const { signal } = context;
    const wrong = { ...summary, ...changes };
    try {
      await readBack(repository, wrong, Buffer.from("{}"), expected, signal);
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: "operation.read_back_differs", kind: "corrupt" });
      return thrown instanceof Error ? thrown.message.replace(/^.*read back: /, "") : "";
    }
    throw new Error("nothing differs");
  };

  test("misses a file, a size, a file too many, and another tree", async () => {
    expect(await differs(new Map([...FILES, ["b", 1]]))).toBe(
      "1 files are not there, among them b",
    );
    expect(await differs(new Map([...FILES, ["a/x", 6]]))).toBe("a/x of 5 bytes, not 6");
    expect(await differs(new Map([["a/x", 5]]))).toBe("a/%1B[2J that was not stored");
    expect(await differs(FILES, { tree: "0".repeat(64) })).toBe(
      "another tree than the one written",
    );
  });

  test("misses a blob that no index places", async () => {
    const repository = await openDestination(context, destinationNamed(policy));
    const blind = {
      ...repository,
      resolveSnapshot: repository.resolveSnapshot.bind(repository),
      acquireReader: async () => {
        const reader = await repository.acquireReader();
        return {
          conflicts: reader.conflicts,
          entries: reader.entries.bind(reader),
          find: reader.find.bind(reader),
          read: reader.read.bind(reader),
          holds: () => false,
        };
      },
    };
    await expect(
      readBack(blind, summary, Buffer.from("{}"), FILES, context.signal),
    ).rejects.toMatchObject({ message: expect.stringContaining("without a blob") });
  });
});

describe("paths as text", () => {
  test("every name comes back the same, and is printable", () => {
    const name = uint8Array({ minLength: 1, maxLength: 12 });
    assert(
      property(array(name, { minLength: 1, maxLength: 4 }), (path) => {
        const text = pathText(path);
        // oxlint-disable-next-line no-control-regex
        expect(text).not.toMatch(/[\u0000-\u001F\u007F-\u009F]/);
        expect(entryPath(text).map((part) => Buffer.from(part))).toEqual(
          path.map((part) => Buffer.from(part)),
        );
      }),
    );
  });

  test("plain names stay as they are", () => {
    expect(pathText(["database", "odd Name", "ü"].map((part) => Buffer.from(part)))).toBe(
      "database/odd Name/ü",
    );
    expect(pathText([Buffer.from("."), Buffer.from("100%"), Buffer.from("a/b")])).toBe(
      "%2E/100%25/a%2Fb",
    );
  });
});

test("every one of these accesses was recorded before", async () => {
  const states = await readdir(join(folder, "state"));
  expect(states).toEqual(["shop"]);
  const log = await readFile(join(folder, "state/shop/audit.jsonl"), "utf8");
  for (const action of ["init", "snapshots", "ls", "dump", "check", "restore"]) {
    expect(log).toContain(`"action":"${action}"`);
  }
});
