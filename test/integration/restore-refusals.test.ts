import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Manifest } from "../../src/manifest/index.ts";
import { planRestore } from "../../src/restore/index.ts";
import type { RestoreOptions } from "../../src/restore/index.ts";
import { createTestDatabase, startCluster } from "../support/cluster.ts";
import type { Cluster, TestDatabase } from "../support/cluster.ts";
import { captureByHand } from "../support/hand-capture.ts";
import { restoreOptions } from "../support/restore.ts";
import type { Made } from "../support/restore.ts";

const SCRIPT = `
CREATE ROLE app LOGIN;
CREATE ROLE loader LOGIN;
CREATE SCHEMA app AUTHORIZATION app;
SET ROLE app;
CREATE TABLE app.t (a int PRIMARY KEY, b text);
INSERT INTO app.t SELECT n, 'row ' || n FROM generate_series(1, 100) AS n;
CREATE TABLE app.u (a int);
INSERT INTO app.u VALUES (1), (2);
`;

describe("a restore", () => {
  let sourceCluster: Cluster;
  let source: TestDatabase;
  let made: Made;
  let target: Cluster;

  beforeAll(async () => {
    sourceCluster = await startCluster({ superuser: "source_boot" });
    // Clusters of tests are copies of one and share its identifier; the oid tells their databases apart.
    await sourceCluster.createDatabase("first");
    await sourceCluster.createDatabase("second");
    source = await createTestDatabase({ cluster: sourceCluster, script: SCRIPT, name: "app" });
    made = await captureByHand(source);
    target = await startCluster();
  });

  afterAll(async () => {
    await target[Symbol.asyncDispose]();
    await sourceCluster[Symbol.asyncDispose]();
  });

  const plan = (database: string, more: Partial<RestoreOptions> = {}, on: Cluster = target) =>
    planRestore(restoreOptions(made, on.url(database), more));
  const refusal = (code: string) => expect.objectContaining({ code });
  const changed = (database: Partial<Manifest["database"]>): Manifest => ({
    ...made.manifest,
    database: { ...made.manifest.database, ...database },
  });

  test("refuses the source under its own name", async () => {
    await expect(plan("app", { create: false }, sourceCluster)).rejects.toThrow(
      refusal("restore.target_is_source"),
    );
  });

  test("refuses the source under another name, empty or not", async () => {
    await using other = await createTestDatabase({ cluster: sourceCluster, name: "empty_one" });
    const [row] = await other.query<{ oid: number }>(
      "SELECT oid::int AS oid FROM pg_database WHERE datname = 'empty_one'",
    );
    const manifest = changed({
      server: { ...made.manifest.database.server, databaseOid: row?.oid ?? 0 },
    });
    await expect(plan("empty_one", { create: false, manifest }, sourceCluster)).rejects.toThrow(
      refusal("restore.target_is_source"),
    );
  });

  test("brings a dropped database back in its own place", async () => {
    await using dropped = await createTestDatabase({
      cluster: sourceCluster,
      script:
        "CREATE SCHEMA mine AUTHORIZATION app; SET ROLE app; CREATE TABLE mine.t AS SELECT 1 AS a;",
    });
    const snapshot = await captureByHand(dropped);
    await sourceCluster.dropDatabase(dropped.name);
    const again = await planRestore(restoreOptions(snapshot, dropped.url));
    expect((await again.execute()).issues).toEqual([]);
    const rows = await dropped.query(
      "SELECT pg_get_userbyid(relowner) AS owner FROM pg_class WHERE relname = 't'",
    );
    expect(rows).toEqual([{ owner: "app" }]);
  });

  test.for([
    ["a table", "CREATE TABLE t (a int)", "relation public.t"],
    [
      "a function",
      "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
      "function public.f()",
    ],
    ["a type", "CREATE TYPE mood AS ENUM ('ok')", "type public.mood"],
    ["a schema", "CREATE SCHEMA other", "schema other"],
    ["a large object", "SELECT lo_create(77)", "large object 77"],
    ["an extension", "CREATE EXTENSION citext", "extension citext"],
    ["a publication", "CREATE PUBLICATION p", "publication p"],
  ] as const)("refuses a database that holds %s", async ([, script, named]) => {
    await using other = await createTestDatabase({ cluster: target, script });
    await expect(plan(other.name, { create: false })).rejects.toThrow(
      expect.objectContaining({
        code: "restore.target_not_empty",
        message: expect.stringContaining(named),
      }),
    );
  });

  test("refuses to create what exists, and to fill what does not", async () => {
    await using other = await createTestDatabase({ cluster: target });
    await expect(plan(other.name)).rejects.toThrow(refusal("restore.target_exists"));
    await expect(plan("nowhere", { create: false })).rejects.toThrow(
      refusal("restore.target_missing"),
    );
  });

  test("refuses an older server", async () => {
    const server = { ...made.manifest.database.server, versionNum: 990_001 };
    await expect(plan("back", { manifest: changed({ server }) })).rejects.toThrow(
      refusal("restore.target_too_old"),
    );
  });

  test("is planned without a write, and executed once", async () => {
    const planned = await plan("planned");
    const roles = await target.query("SELECT rolname FROM pg_roles WHERE rolname IN ('app')");
    expect(roles).toEqual([]);
    expect(await target.query("SELECT 1 FROM pg_database WHERE datname = 'planned'")).toEqual([]);
    await planned.execute();
    await expect(planned.execute()).rejects.toThrow(refusal("restore.plan_spent"));
    await target.dropDatabase("planned");
  });

  test("asks again before it writes", async () => {
    const planned = await plan("late");
    await target.createDatabase("late");
    await expect(planned.execute()).rejects.toThrow(refusal("restore.target_exists"));
    await target.dropDatabase("late");
  });

  test("refuses an archive that was cut, changed or is of a later format", async () => {
    const { path } = made.manifest.database.schema;
    const archive = made.files.files.get(path) ?? Buffer.alloc(0);
    const planWith = (bytes: Buffer, honest: boolean) => {
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      const schema = { path, sizeBytes: bytes.byteLength, sha256 };
      made.files.files.set(path, bytes);
      return plan("back", honest ? { manifest: changed({ schema }) } : {});
    };
    const flipped = Buffer.from(archive);
    flipped[archive.length - 10] = (flipped[archive.length - 10] ?? 0) ^ 1;
    const later = Buffer.from(archive);
    later[6] = 77;
    try {
      await expect(planWith(flipped, false)).rejects.toThrow(refusal("restore.file_differs"));
      await expect(planWith(archive.subarray(0, 500), true)).rejects.toThrow(
        refusal("restore.archive_damaged"),
      );
      await expect(planWith(later, true)).rejects.toThrow(refusal("restore.archive_unsupported"));
      // Our own reading ends with the table of contents; pg_restore goes to the end of the file.
      const tail = archive.subarray(0, archive.length - 1);
      await expect(planWith(tail, true)).rejects.toThrow(refusal("restore.archive_damaged"));
    } finally {
      made.files.files.set(path, archive);
    }
  });

  test("says which table is damaged, and brings the others", async () => {
    const path = "database/tables/app/t/0000.copy";
    const good = made.files.files.get(path) ?? Buffer.alloc(0);
    made.files.files.set(path, good.subarray(0, 100));
    const result = await (await plan("damaged")).execute();
    made.files.files.set(path, good);
    expect(result.outcome).toBe("incomplete");
    expect(result.issues.map(({ code, object }) => `${code} ${object}`)).toEqual([
      "table_failed TABLE app.t",
      "count_differs TABLE app.t",
    ]);
    expect(
      await target.query("SELECT count(*)::int AS n FROM app.u", { database: "damaged" }),
    ).toEqual([{ n: 2 }]);
    await target.dropDatabase("damaged");
  });

  test("finds a row that came back other than it was saved", async () => {
    const path = "database/tables/app/t/0000.copy";
    const good = made.files.files.get(path) ?? Buffer.alloc(0);
    made.files.files.set(path, Buffer.from(good.toString().replace("row 50", "row 5o")));
    const result = await (await plan("altered")).execute();
    made.files.files.set(path, good);
    expect(result.issues.map(({ code, object }) => `${code} ${object}`)).toEqual([
      "hash_differs TABLE app.t",
    ]);
    expect(result.verified).toEqual({ tables: 1, rows: 2n });
    await target.dropDatabase("altered");
  });

  test("leaves nothing where the builder may not log in", async () => {
    await using strict = await startCluster();
    const rules = join(strict.folder, "data", "pg_hba.conf");
    const before = await readFile(rules, "utf8");
    await writeFile(
      rules,
      `local all ${strict.superuser} scram-sha-256\nhost all ${strict.superuser} 127.0.0.1/32 scram-sha-256\n`,
    );
    await strict.query("SELECT pg_reload_conf()");
    const planned = await plan("back", {}, strict);
    await expect(planned.execute()).rejects.toThrow(refusal("restore.builder_refused"));
    const left = await strict.query(
      "SELECT rolname FROM pg_roles WHERE rolname ~ '^(sparekeep|app)' UNION ALL SELECT datname FROM pg_database WHERE datname = 'back'",
    );
    expect(left).toEqual([]);
    await writeFile(rules, before);
  });

  test("as an ordinary role builds with its own rights", async () => {
    await using fresh = await startCluster();
    await fresh.query("CREATE ROLE ordinary LOGIN CREATEDB CREATEROLE PASSWORD 'x'");
    const url = fresh.url("by_ordinary", { name: "ordinary", password: "x" });
    const planned = await planRestore(restoreOptions(made, url));
    expect(planned.steps).toContain("build as ordinary");
    const result = await planned.execute();
    expect(result.issues).toEqual([]);
    const owners = await fresh.query(
      "SELECT DISTINCT pg_get_userbyid(relowner) AS owner FROM pg_class WHERE relnamespace = 'app'::regnamespace",
      { database: "by_ordinary" },
    );
    expect(owners).toEqual([{ owner: "app" }]);
    expect(await fresh.query("SELECT pg_has_role('ordinary', 'app', 'MEMBER') AS member")).toEqual([
      { member: false },
    ]);
  });

  test("names each object that an ordinary role may not give away", async () => {
    await using fresh = await startCluster();
    await fresh.query("CREATE ROLE ordinary LOGIN CREATEDB PASSWORD 'x'");
    await fresh.query("CREATE ROLE app");
    const url = fresh.url("by_ordinary", { name: "ordinary", password: "x" });
    const result = await (await planRestore(restoreOptions(made, url))).execute();
    expect(result.outcome).toBe("incomplete");
    expect(result.issues.map(({ code, object }) => `${code} ${object}`)).toEqual([
      "role_failed ROLE source_boot",
      "role_failed ROLE loader",
      "owner_not_set SCHEMA app",
      "owner_not_set TABLE app.t",
      "owner_not_set TABLE app.u",
    ]);
    expect(result.issues.at(-1)?.hint).toBe(
      'As a superuser run: ALTER TABLE app.u OWNER TO "app".',
    );
    expect(result.verified).toEqual({ tables: 2, rows: 102n });
  });

  test("says so where the login may not create a database", async () => {
    await target.query("CREATE ROLE small LOGIN PASSWORD 'x'");
    const url = target.url("by_small", { name: "small", password: "x" });
    const planned = await planRestore(restoreOptions(made, url));
    await expect(planned.execute()).rejects.toThrow(refusal("restore.target_refuses"));
  });

  test("builds as superuser only where the source is trusted, and says so", async () => {
    const planned = await plan("trusted", { trustSource: true });
    expect(planned.steps.join("\n")).toContain("--trust-source");
    const result = await planned.execute();
    expect(result.issues).toEqual([]);
    await target.dropDatabase("trusted");
  });

  test.runIf(process.getuid?.() === 0)(
    "meets a full disk with one error, and resumes",
    async () => {
      const folder = join(target.folder, "small-disk");
      execFileSync("mkdir", [folder]);
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=24m,mode=0777", "tmpfs", folder]);
      try {
        execFileSync("mkdir", [join(folder, "space")]);
        execFileSync("chown", ["--reference", join(target.folder, "data"), join(folder, "space")]);
        await target.query(`CREATE TABLESPACE small LOCATION '${join(folder, "space")}'`);
        await target.query("CREATE DATABASE on_small TEMPLATE template0 TABLESPACE small");
        // A first session writes the catalog's cache file, for which there must be room.
        await target.query("SELECT 1", { database: "on_small" });
        const filler = join(folder, "filler");
        await appendFile(filler, Buffer.alloc(24 * 1024 * 1024)).catch(() => undefined);
        const first = await plan("on_small", { create: false });
        await expect(first.execute()).rejects.toThrow(refusal("postgres.disk_full"));
        execFileSync("rm", [filler]);
        const second = await plan("on_small", { create: false });
        const result = await second.execute();
        expect(result.issues).toEqual([]);
        await target.dropDatabase("on_small");
        await target.query("DROP TABLESPACE small");
      } finally {
        execFileSync("umount", ["-l", folder]);
      }
    },
  );
});
