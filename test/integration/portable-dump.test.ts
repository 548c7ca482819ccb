import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/kernel/index.ts";
import { createMemoryStore } from "../../src/objectstore/index.ts";
import type { ObjectStore } from "../../src/objectstore/index.ts";
import { codeOf, createFaultyStore } from "../../src/objectstore/testing/index.ts";
import type { Fault } from "../../src/objectstore/testing/index.ts";
import { drillDump, dumpDatabase, listDumps } from "../../src/operation/index.ts";
import type { DumpResult, OperationContext } from "../../src/operation/index.ts";
import { testTools } from "../support/capture.ts";
import { createTestDatabase, failOnLeakedSessions, sharedCluster } from "../support/cluster.ts";
import type { TestDatabase } from "../support/cluster.ts";
import { createDumpBench } from "../support/dump-bench.ts";
import type { DumpBench } from "../support/dump-bench.ts";
import { createTestKeyring } from "../support/gpg.ts";
import type { TestKeyring } from "../support/gpg.ts";

const run = promisify(execFile);
const ROWS = 20_000;
/** Random text: more of it than pipes hold, and nothing that pg_dump could shrink away. */
const SCRIPT = `
  CREATE ROLE dump_reader;
  CREATE TABLE orders (id int PRIMARY KEY, note text);
  INSERT INTO orders SELECT g, md5(g::text) || md5((g + 1)::text) || md5((g + 2)::text) FROM generate_series(1, ${ROWS}) g;
  CREATE SCHEMA odd;
  CREATE TABLE odd."we""ird
name" (a int);
  INSERT INTO odd."we""ird
name" VALUES (1), (2);
  CREATE TABLE empty_one (a int);
  CREATE TABLE parted (a int) PARTITION BY LIST (a);
  CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
  INSERT INTO parted VALUES (1), (1), (1);
  ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
  CREATE POLICY p ON orders TO dump_reader USING (true);
`;

let database: TestDatabase;
let keys: TestKeyring;
let bench: DumpBench;
let fingerprint = "";

beforeAll(async () => {
  database = await createTestDatabase({ script: SCRIPT });
  keys = await createTestKeyring();
  fingerprint = await keys.createKey("backups@x.example");
  await keys.createKey("other@x.example");
  bench = await createDumpBench(
    database.url,
    await keys.exportKey("backups@x.example"),
    fingerprint,
  );
});

afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await keys[Symbol.asyncDispose]();
  await database.query("DROP OWNED BY dump_reader");
  await database[Symbol.asyncDispose]();
  await (await sharedCluster()).query("DROP ROLE dump_reader");
});

afterEach(async () => {
  await failOnLeakedSessions(await sharedCluster());
  // Neither ciphertext, nor keyrings, nor clusters.
  const left = (await readdir(tmpdir())).filter((name) =>
    /^(?:sparekeep-dump-|sk-gpg-|sk-drill-)/.test(name),
  );
  expect(left).toEqual([]);
});

let counter = 0;
/** A name of its own for each: a second has one. */
function named(): { name: string } {
  counter += 1;
  return { name: `t${counter}_{date}.dump.gpg` };
}

async function dumpOnce(context: OperationContext = bench.context): Promise<DumpResult> {
  return dumpDatabase(context, { policy: bench.policyWith(named()), plan: "weekly" });
}

async function filesOf(prefix: string): Promise<readonly string[]> {
  const found = await readdir(bench.dumps).catch(() => []);
  return found.filter((name) => name.startsWith(prefix) || name.startsWith("~"));
}

async function alter(file: string, change: (bytes: Buffer) => Buffer): Promise<void> {
  const path = join(bench.dumps, file);
  const bytes = await readFile(path);
  await chmod(path, 0o600);
  await writeFile(path, change(bytes));
}

const flip = (bytes: Buffer): Buffer => {
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  return bytes;
};
const cut = (bytes: Buffer): Buffer => bytes.subarray(0, bytes.length >> 1);

function drill(file: string, home = keys.home): ReturnType<typeof drillDump> {
  return drillDump(bench.context, {
    policy: bench.policy,
    what: file,
    gnupgHome: home,
    ownUid: process.getuid?.(),
  });
}

describe("a portable dump", () => {
  test("is restored by stock gpg and pg_restore, and is what its manifest says", async () => {
    const { manifest } = await dumpOnce();
    const ciphertext = await readFile(join(bench.dumps, manifest.file));
    expect(createHash("sha256").update(ciphertext).digest("hex")).toBe(manifest.ciphertext.sha256);
    expect(manifest.encryption).toMatchObject({
      cipher: "AES256",
      integrity: "mdc",
      recipients: [{ name: fingerprint, fingerprint }],
      passphrases: 0,
    });
    const packets = await keys.gpg(["--list-packets", join(bench.dumps, manifest.file)]);
    expect(packets.toString()).toContain("mdc_method: 2");
    await using target = await createTestDatabase();
    const { pgRestore } = await testTools();
    const pipe = `gpg --homedir "$1" --batch --quiet -d "$2" | "$3" --no-password -d "$4"`;
    const args = ["sh", keys.home, join(bench.dumps, manifest.file), pgRestore, target.url];
    await run("bash", ["-o", "pipefail", "-c", pipe, ...args]);
    const [row] = await target.query<{ rows: number }>("SELECT count(*)::int AS rows FROM orders");
    expect(row?.rows).toBe(ROWS);
    expect(manifest.tables.map(({ schema, name, rows }) => [schema, name, rows])).toEqual([
      ["odd", 'we"ird\nname', "2"],
      ["public", "empty_one", "0"],
      ["public", "orders", String(ROWS)],
      ["public", "parted_1", "3"],
    ]);
    const audit = await readFile(join(bench.folder, "state/shop/audit.jsonl"), "utf8");
    expect(audit).toContain(manifest.file);
  });

  test("comes back in a drill, and what differs in it fails the drill", async () => {
    const { manifest } = await dumpOnce();
    const restored = await drill(manifest.file);
    expect(restored).toMatchObject({ outcome: "restored", refused: [], file: manifest.file });
    expect(restored.tables.map(({ rows }) => rows)).toEqual([2n, 0n, BigInt(ROWS), 3n]);
    // A manifest that promises a row more, beside an honest file.
    await alter(`${manifest.file}.manifest.json`, (bytes) =>
      Buffer.from(bytes.toString().replace(`"rows": "${ROWS}"`, `"rows": "${ROWS + 1}"`)),
    );
    const missed = await drill(manifest.file);
    expect(missed.outcome).toBe("failed");
    expect(missed.tables.filter((one) => one.rows !== one.expectedRows)).toHaveLength(1);
    const list = await listDumps(bench.context, { policy: bench.policy, verify: true });
    const line = list.dumps.find(({ file }) => file === manifest.file);
    expect(line).toMatchObject({
      state: "damaged",
      trouble: "its manifest is not the one in the sealed record",
    });
  });

  test("for a wrong recipient is not decrypted, and its key holder is told so", async () => {
    const { manifest } = await dumpOnce();
    await using stranger = await createTestKeyring();
    await stranger.createKey("stranger@x.example");
    expect(await codeOf(() => drill(manifest.file, stranger.home))).toBe(
      "program.decryption_failed",
    );
  });

  test("by a passphrase says so, and opens with it", async () => {
    const path = join(bench.folder, "passphrase");
    await writeFile(path, "a phrase of five words\n", { mode: 0o600 });
    const policy = bench.policyWith({
      ...named(),
      encrypt: "{ passphrase: { file: passphrase } }",
    });
    const { manifest } = await dumpDatabase(bench.context, { policy });
    expect(manifest.encryption).toMatchObject({ recipients: [], passphrases: 1, integrity: "mdc" });
    const restored = await drillDump(bench.context, {
      policy,
      what: "weekly",
      gnupgHome: keys.home,
      passphraseFile: path,
      ownUid: process.getuid?.(),
    });
    expect(restored).toMatchObject({ outcome: "restored", file: manifest.file });
  });
});

describe("damage", () => {
  test.for([
    ["cut", cut],
    ["flipped", flip],
  ] as const)(
    "of a stored file that is %s is found by dumps --verify and by a drill",
    async ([, change]) => {
      const { manifest } = await dumpOnce();
      await alter(manifest.file, change);
      const list = await listDumps(bench.context, { policy: bench.policy, verify: true });
      expect(list.outcome).toBe("damaged");
      expect(list.dumps.find(({ file }) => file === manifest.file)?.state).toBe("damaged");
      expect(await codeOf(() => drill(manifest.file))).toBe("operation.dump_differs");
    },
  );

  test("that the manifest was made to fit is found by gpg and by the sealed record", async () => {
    const { manifest } = await dumpOnce();
    await alter(manifest.file, flip);
    const bytes = await readFile(join(bench.dumps, manifest.file));
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    await alter(`${manifest.file}.manifest.json`, (text) =>
      Buffer.from(text.toString().replace(manifest.ciphertext.sha256, sha256)),
    );
    expect(await codeOf(() => drill(manifest.file))).toBe("program.decryption_failed");
    const list = await listDumps(bench.context, { policy: bench.policy, verify: true });
    expect(list.dumps.find(({ file }) => file === manifest.file)?.state).toBe("damaged");
  });

  test("of what the manifest says the plaintext was fails the drill, though every row came back", async () => {
    const { manifest } = await dumpOnce();
    await alter(`${manifest.file}.manifest.json`, (text) =>
      Buffer.from(text.toString().replace(manifest.plaintext.sha256, "0".repeat(64))),
    );
    expect(await codeOf(() => drill(manifest.file))).toBe("drill.restore_failed");
  });

  test("of a manifest is damage, and a file without one is no dump", async () => {
    const { manifest } = await dumpOnce();
    await alter(`${manifest.file}.manifest.json`, () => Buffer.from("[]"));
    expect(await codeOf(() => drill(manifest.file))).toBe("manifest.dump_damaged");
    const lone = join(bench.dumps, "shop_20260101_020000.dump.gpg");
    await writeFile(lone, "x");
    const list = await listDumps(bench.context, { policy: bench.policy });
    const stateOf = (name: string): unknown => list.dumps.find(({ file }) => file === name)?.state;
    expect(stateOf(manifest.file)).toBe("damaged");
    expect(stateOf("shop_20260101_020000.dump.gpg")).toBe("unproven");
    expect(await codeOf(() => drill("shop_20260101_020000.dump.gpg"))).toBe(
      "operation.dump_unproven",
    );
  });
});

describe("nothing is dumped", () => {
  const refused = async (address: string, keyFiles: readonly string[]): Promise<string> => {
    const changes = { ...named(), recipients: [address], keys: keyFiles };
    // A source that nobody reaches: the recipient is looked at first.
    const context = await bench.planted({ pg_dump: "exit 9" });
    return codeOf(() => dumpDatabase(context, { policy: bench.policyWith(changes) }));
  };

  test("for a key that expired", async () => {
    await keys.createKey("late@x.example", { time: "20200101T000000", expires: "1d" });
    const file = await keys.exportKey("late@x.example");
    expect(await refused("late@x.example", [file])).toBe("program.recipient_expired");
  });

  test("for a key that nobody named, though it is in the user's own keyring", async () => {
    const file = await keys.exportKey("backups@x.example");
    expect(await refused("other@x.example", [file])).toBe("program.recipient_unknown");
  });

  test("for a key that was revoked", async () => {
    await using own = await createTestKeyring();
    const revoked = await own.createKey("gone@x.example");
    const path = join(own.home, "openpgp-revocs.d", `${revoked}.rev`);
    const text = (await readFile(path, "utf8")).replace(":-----BEGIN", "-----BEGIN");
    await writeFile(join(own.home, "rev.asc"), text);
    await own.gpg(["--import", join(own.home, "rev.asc")]);
    const file = await own.exportKey("gone@x.example");
    expect(await refused("gone@x.example", [file])).toBe("program.recipient_revoked");
  });

  test("for a key that only signs", async () => {
    await keys.createKey("signer@x.example", { usage: "sign" });
    const file = await keys.exportKey("signer@x.example");
    expect(await refused("signer@x.example", [file])).toBe("program.recipient_unfit");
  });

  test("for an address that two keys answer to", async () => {
    await using own = await createTestKeyring();
    await own.createKey("backups@x.example");
    const files = [
      await own.exportKey("backups@x.example"),
      await keys.exportKey("backups@x.example"),
    ];
    expect(await refused("backups@x.example", files)).toBe("program.recipient_ambiguous");
  });

  test.for([
    ["no key", "hello"],
    ["a private key", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n"],
  ] as const)("with a key file that holds %s", async ([, text]) => {
    const path = join(bench.folder, "bad.asc");
    await writeFile(path, text);
    expect(await refused(fingerprint, [path])).toBe("program.key_file_unreadable");
  });

  test("over a name that is taken", async () => {
    const policy = bench.policyWith(named());
    const { manifest } = await dumpDatabase(bench.context, { policy });
    const before = await readFile(join(bench.dumps, manifest.file));
    const again = await bench.planted({ pg_dump: "exit 9" });
    expect(await codeOf(() => dumpDatabase(again, { policy }))).toBe("operation.dump_exists");
    expect(await readFile(join(bench.dumps, manifest.file))).toEqual(before);
  });
});

describe("no file is left, and no success said, when", () => {
  test.for([
    [
      "pg_dump is killed in the middle",
      { pg_dump: `REAL "$@" | head -c 200000; kill -KILL $$` },
      "postgres.program_failed",
    ],
    [
      "pg_dump writes half and says that all is well",
      { pg_dump: `REAL "$@" | head -c 200000; exit 0` },
      "source.dump_unreadable",
    ],
    [
      "a byte changes between pg_dump and its readers",
      { pg_dump: `REAL "$@" | (head -c 200000; head -c 64 >/dev/null; head -c 64 /dev/zero; cat)` },
      "source.dump_unreadable",
    ],
    [
      "pg_restore is killed in the middle",
      { pg_restore: "head -c 100000 >/dev/null; kill -KILL $$" },
      "source.dump_unreadable",
    ],
    [
      "pg_restore ends well without reading on",
      { pg_restore: "head -c 100 >/dev/null; exit 0" },
      "source.dump_unread",
    ],
    [
      "gpg is killed in the middle",
      {
        gpg: `case "$*" in *--encrypt*) head -c 100000 >/dev/null; kill -KILL $$;; esac\nexec REAL "$@"`,
      },
      "program.failed",
    ],
    [
      "gpg writes something else",
      {
        gpg: `case "$*" in *--encrypt*) cat >/dev/null; echo "[GNUPG:] BEGIN_ENCRYPTION 2 9" >&2; echo hello; exit 0;; esac\nexec REAL "$@"`,
      },
      "program.message_invalid",
    ],
    [
      "gpg uses a weaker cipher",
      {
        gpg: `case "$*" in *--encrypt*) exec REAL "$@" --cipher-algo AES128;; esac\nexec REAL "$@"`,
      },
      "program.message_invalid",
    ],
  ] as const)("%s", async ([, scripts, code]) => {
    const context = await bench.planted(scripts);
    const { name } = named();
    const policy = bench.policyWith({ name });
    expect(await codeOf(() => dumpDatabase(context, { policy }))).toBe(code);
    expect(await filesOf(name.split("_")[0] ?? "")).toEqual([]);
  });

  test("Ctrl-C comes while it dumps", async () => {
    const controller = new AbortController();
    const { name } = named();
    const context = { ...bench.context, signal: controller.signal };
    const code = await codeOf(() =>
      dumpDatabase(context, {
        policy: bench.policyWith({ name }),
        onProgress: ({ step, doneBytes }) => {
          if (step === "dump" && doneBytes > 0) controller.abort();
        },
      }),
    );
    expect(code).toBe("kernel.cancelled");
    expect(await filesOf(name.split("_")[0] ?? "")).toEqual([]);
  });

  const stored = async (
    decide: (operation: string, key: string, number: number) => Fault | undefined,
    inner: ObjectStore = createMemoryStore({ clock: systemClock }),
  ): Promise<{ readonly code: string; readonly keys: readonly string[] }> => {
    const faulty = createFaultyStore(inner, {
      decide: ({ operation, key, number }) => decide(operation, key, number),
    });
    const storeAt = (location: string): ObjectStore | undefined =>
      location === bench.dumps ? faulty : undefined;
    const policy = bench.policyWith(named());
    const code = await codeOf(() => dumpDatabase({ ...bench.context, storeAt }, { policy }));
    const found: string[] = [];
    for await (const { key } of inner.list("")) found.push(key);
    return { code, keys: found };
  };

  test.for([
    ["the store is full", "put", 1, "full", "objectstore.full"],
    ["the answer to the write is lost", "put", 1, "fail-after", "objectstore.unavailable"],
    ["the store keeps another byte", "put", 1, "flip", "operation.dump_differs"],
    ["the store keeps a byte less", "put", 1, "truncate", "operation.dump_differs"],
    ["the store acknowledges and forgets", "put", 1, "forget", "operation.dump_differs"],
    ["the manifest is not taken", "put", 2, "fail-before", "objectstore.unavailable"],
    ["the manifest is kept with another byte", "put", 2, "flip", "operation.dump_differs"],
    ["reading back fails", "getRange", 1, "fail-before", "objectstore.unavailable"],
  ] as const)("%s", async ([, operation, number, fault, code]) => {
    const left = await stored((seen, _key, nth) =>
      seen === operation && nth === number ? fault : undefined,
    );
    expect(left).toEqual({ code, keys: [] });
  });

  test("and one that the store does not remove is named", async () => {
    const left = await stored((operation, _key, number) => {
      if (operation === "put" && number === 2) return "fail-before";
      return operation === "remove" ? "fail-before" : undefined;
    });
    expect(left.code).toBe("operation.dump_left_behind");
    expect(left.keys).toHaveLength(1);
  });
});
