import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { kernelError, Secret, silentLog, systemClock } from "../../src/kernel/index.ts";
import { createMemoryStore } from "../../src/objectstore/index.ts";
import {
  backup,
  dumpFile,
  guardMigration,
  init,
  isKept,
  listSnapshots,
  planDatabaseRestore,
} from "../../src/operation/index.ts";
import type {
  BackupResult,
  GuardedMigration,
  GuardMigrationOptions,
  OperationContext,
} from "../../src/operation/index.ts";
import { collectBytes } from "../../src/kernel/index.ts";
import { parsePolicy } from "../../src/policy/index.ts";
import type { Policy } from "../../src/policy/index.ts";
import { clientToolFolders } from "../../src/postgres/index.ts";
import { createTestDatabase, testPrograms } from "../support/cluster.ts";
import type { TestDatabase } from "../support/cluster.ts";

/** The schema before and after a migration: in the repository, and as a diff that a reviewer reads in a git repository. */

const run = promisify(execFile);

interface Place extends AsyncDisposable {
  readonly database: TestDatabase;
  readonly context: OperationContext;
  readonly policy: Policy;
  readonly path: (name: string) => string;
  readonly backup: () => Promise<BackupResult>;
  readonly guard: (
    command: GuardMigrationOptions["command"],
    more?: Partial<GuardMigrationOptions>,
  ) => Promise<GuardedMigration>;
  readonly git: (...args: readonly string[]) => Promise<string>;
  readonly psql: (sql: string) => GuardMigrationOptions["command"];
}

const SHOP = `
  CREATE TABLE parts (id int PRIMARY KEY, name text NOT NULL);
  CREATE TABLE orders (id int PRIMARY KEY, part int REFERENCES parts, note text DEFAULT 'none');
  CREATE INDEX orders_part ON orders (part);
  COMMENT ON TABLE orders IS 'what was bought';
  CREATE VIEW busy AS SELECT part, count(*) FROM orders GROUP BY part;
  CREATE FUNCTION twice(i int) RETURNS int LANGUAGE sql AS 'SELECT i * 2';
  INSERT INTO parts VALUES (1, 'a secret row');
`;

async function place(script = SHOP): Promise<Place> {
  const database = await createTestDatabase({ script });
  const folder = await mkdtemp(join(tmpdir(), "sparekeep-schema-"));
  const { psql } = testPrograms();
  const store = createMemoryStore({ clock: systemClock });
  const environment: Record<string, string> = {
    DB: database.url,
    KEY: "vast orbit 93 quilt, of the bucket",
    PATH: process.env["PATH"] ?? "",
    HOME: folder,
  };
  const context: OperationContext = {
    clock: systemClock,
    random: (size) => randomBytes(size),
    log: silentLog,
    signal: new AbortController().signal,
    actor: "ann",
    hostname: "web1",
    pid: process.pid,
    env: (name) => environment[name],
    commandEnvironment: (without) =>
      Object.fromEntries(Object.entries(environment).filter(([name]) => !without.includes(name))),
    toolDirectories: await clientToolFolders(process.env["PATH"]),
    stateDirectory: join(folder, "state"),
    version: "0.0.0-test",
    keyCost: { N: 1024, r: 8, p: 1 },
    storeAt: () => store,
  };
  const text = `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: DB } } }
destinations: { local: { url: ./repo, password: { env: KEY } } }
plans:
  full: { source: db, capture: everything, to: local }
  before-migration:
    source: db
    capture: schema
    to: { git: ./migrations.git, path: schema/, author: "Sparekeep <backups@example.com>", and: local }
`;
  const policy = parsePolicy({ text, file: "p.yaml", directory: folder });
  const path = (name: string): string => join(folder, name);
  await run("git", ["init", "-q", "--bare", path("migrations.git")]);
  await init(context, { policy, generatePassword: false });
  return {
    database,
    context,
    policy,
    path,
    backup: () => backup(context, { policy, plan: "before-migration" }),
    guard: (command, more) =>
      guardMigration(context, { policy, command, terminal: false, ...more }),
    git: async (...args) => {
      const { stdout } = await run("git", ["--git-dir", path("migrations.git"), ...args]);
      return stdout;
    },
    psql: (sql) => [psql, "--no-psqlrc", "--quiet", "--command", sql, database.url],
    [Symbol.asyncDispose]: async () => {
      await rm(folder, { recursive: true });
      await database[Symbol.asyncDispose]();
    },
  };
}

const commits = async (shop: Place): Promise<readonly string[]> =>
  (await shop.git("log", "--format=%s", "main")).trim().split("\n");

const withoutOwner = (line: string): string => line.replace(/; owner \w+$/, "");

const filesOf = async (shop: Place): Promise<readonly string[]> =>
  (await shop.git("ls-tree", "-r", "--name-only", "main")).trim().split("\n");

test("a plan of the schema stores it, commits it as one file a table, and no second time unchanged", async () => {
  await using shop = await place();
  const first = await shop.backup();
  expect(first).toMatchObject({
    outcome: "complete",
    capture: "schema",
    state: "verified",
    tables: 0,
  });
  expect(await filesOf(shop)).toEqual([
    "schema/function.sql",
    "schema/tables/public.orders.sql",
    "schema/tables/public.parts.sql",
    "schema/views/public.busy.sql",
  ]);
  expect(first.git).toMatchObject({
    branch: "main",
    commit: expect.stringMatching(/^[0-9a-f]{40}$/),
    changes: (await filesOf(shop)).map((file) => `A ${file}`),
  });
  const orders = await shop.git("show", "main:schema/tables/public.orders.sql");
  expect(
    orders
      .split("\n")
      .filter((line) => line.startsWith("--"))
      .map(withoutOwner),
  ).toEqual([
    "-- TABLE public.orders",
    "-- CONSTRAINT public.orders orders_pkey",
    "-- INDEX public.orders_part",
    "-- FK CONSTRAINT public.orders orders_part_fkey",
    "-- COMMENT TABLE orders",
  ]);
  expect(orders).toContain("what was bought");
  expect(await shop.git("log", "-1", "--format=%an <%ae>%n%B", "main")).toBe(
    `Sparekeep <backups@example.com>\nSchema of db\n\nSparekeep-Snapshot: ${first.snapshot}\n\n`,
  );
  await expect(
    shop.git("grep", "-q", "-i", "-E", "pg_dump|secret row|dumped", "main"),
  ).rejects.toMatchObject({ code: 1 });

  const second = await shop.backup();
  expect(second.git).toMatchObject({ commit: null, changes: [] });
  expect(await commits(shop)).toEqual(["Schema of db"]);
  const listed = await listSnapshots(shop.context, { policy: shop.policy });
  expect(listed).toHaveLength(2);
  expect(listed[0]?.tags).toContain("capture=schema");
});

test("a schema is never taken for a backup: not by restore, not by the guards of a plan of its name", async () => {
  await using shop = await place();
  await shop.backup();
  const { context, policy } = shop;
  const target = new Secret(shop.database.cluster.url("never_made"));
  const latest = { policy, snapshot: "latest" };
  await expect(
    planDatabaseRestore(context, { ...latest, target, create: true, trustSource: true }),
  ).rejects.toMatchObject({ code: "operation.schema_only" });
  const guide = await dumpFile(context, { ...latest, path: "RECOVERY.md" });
  expect(Buffer.from(await collectBytes(guide.content)).toString()).toContain(
    "It holds no rows: it is not a backup of the database.",
  );
  const { full } = policy.plans;
  if (full === undefined) throw new Error("no plan");
  const renamed = { ...policy, plans: { "before-migration": full } };
  expect((await backup(context, { policy: renamed })).guards).toMatchObject({
    comparedWith: null,
    nothingToCompare: "this is the first point of plan before-migration",
  });
});

test("guard keeps the schema before and after, and the diff is what the migration did", async () => {
  await using shop = await place();
  const sql = "ALTER TABLE orders ADD COLUMN paid bool; DROP VIEW busy";
  const guarded = await shop.guard(shop.psql(sql));
  expect(guarded.command).toEqual({ exitCode: 0 });
  expect(isKept(guarded.before)).toBe(true);
  expect(await commits(shop)).toEqual([
    "Schema of db after a migration",
    "Schema of db before a migration",
  ]);
  const diff = await shop.git("diff", "--name-status", "main~1", "main");
  expect(diff).toBe("M\tschema/tables/public.orders.sql\nD\tschema/views/public.busy.sql\n");
  const lines = (await shop.git("diff", "-U0", "main~1", "main", "--", "schema/tables")).split(
    "\n",
  );
  expect(lines.filter((line) => /^[+-][^+-]/.test(line))).toEqual([
    "-    note text DEFAULT 'none'::text",
    "+    note text DEFAULT 'none'::text,",
    "+    paid boolean",
  ]);
  await shop.guard(["true"]);
  expect(await commits(shop)).toHaveLength(2);
  expect(await listSnapshots(shop.context, { policy: shop.policy })).toHaveLength(4);
});

test("guard captures behind a command that failed, and tells how it ended", async () => {
  await using shop = await place();
  const half = shop.psql("CREATE TABLE half_done (id int)");
  const failed = await shop.guard(["sh", "-c", '"$@"; exit 7', "sh", ...half]);
  expect(failed.command).toEqual({ exitCode: 7 });
  expect(await filesOf(shop)).toContain("schema/tables/public.half_done.sql");
  const killed = await shop.guard(["sh", "-c", "kill -9 $$"]);
  expect(killed.command).toEqual({ exitCode: 137, signal: "SIGKILL" });
  await expect(shop.guard(["no-such-program"])).rejects.toMatchObject({ code: "program.missing" });
});

test("guard hands signals on, and still keeps what the command left behind", async () => {
  await using shop = await place();
  const create = shop.psql("CREATE TABLE left_behind (id int)");
  const ready = shop.path("ready");
  const script = `trap 'exit 9' TERM; shift; "$@"; touch ${ready}; while :; do sleep 0.1; done`;
  const controller = new AbortController();
  const context = { ...shop.context, signal: controller.signal };
  const guarding = guardMigration(context, {
    policy: shop.policy,
    terminal: true,
    command: ["bash", "-c", script, "bash", "-", ...create],
  });
  await expect
    .poll(() => readFile(ready, "utf8").catch(() => "not yet"), { timeout: 60_000 })
    .toBe("");
  controller.abort(
    kernelError("cancelled", { message: "interrupted", subject: { signal: "SIGTERM" } }),
  );
  const guarded = await guarding;
  expect(guarded.command).toEqual({ exitCode: 9 });
  expect(guarded.after !== undefined && isKept(guarded.after)).toBe(true);
  expect(await filesOf(shop)).toContain("schema/tables/public.left_behind.sql");
});

test("a schema that cannot be kept before means that nothing is run, unless somebody says why", async () => {
  await using shop = await place();
  await rm(shop.path("migrations.git"), { recursive: true });
  const touched = shop.path("touched");
  const stopped = await shop.guard(["touch", touched]);
  expect(stopped.command).toBeUndefined();
  expect(stopped.before).toMatchObject({ kind: "error", error: { code: "program.failed" } });
  await expect(readFile(touched)).rejects.toThrow("ENOENT");
  const said = await shop.guard(["touch", touched], { unguarded: "urgent fix" });
  expect(said).toMatchObject({ command: { exitCode: 0 }, after: { kind: "error" } });
  expect(await readFile(touched, "utf8")).toBe("");
  const { stdout } = await run("grep", ["-rl", "urgent fix", shop.path("state")]);
  expect(stdout).not.toBe("");
});

test("the keys of the backups do not reach the command; what it needs does", async () => {
  await using shop = await place();
  const out = shop.path("out");
  await shop.guard(["sh", "-c", `echo "key=$KEY db=\${DB:+there}" > ${out}`]);
  expect(await readFile(out, "utf8")).toBe("key= db=there\n");
});

test("hostile names stay in their folder and in their comment", async () => {
  await using shop = await place(`
    CREATE TABLE "../../../evil" (id int);
    CREATE TABLE ".git" (id int); CREATE TABLE "Parts" (id int); CREATE TABLE parts (id int);
    CREATE TABLE "line\nDROP TABLE x; --" (id int);`);
  await shop.backup();
  const files = await filesOf(shop);
  expect(files).toEqual([
    "schema/tables/public.%2e%2e%2f%2e%2e%2f%2e%2e%2fevil.sql",
    "schema/tables/public.%2egit.sql",
    "schema/tables/public.%50arts.sql",
    "schema/tables/public.line%0a%44%52%4f%50%20%54%41%42%4c%45%20x%3b%20%2d%2d.sql",
    "schema/tables/public.parts.sql",
  ]);
  const text = await shop.git("show", `main:${files[3]}`);
  expect(withoutOwner(text.split("\n")[0] ?? "")).toBe(
    String.raw`-- TABLE public.line\x0aDROP TABLE x; --`,
  );
});

test("other files of the branch stay, a hook's refusal is told, and who was faster is built upon", async () => {
  await using shop = await place();
  const clone = shop.path("clone");
  const git = (...args: readonly string[]) =>
    run("git", ["-C", clone, "-c", "user.name=bob", "-c", "user.email=b@example.com", ...args]);
  await run("git", ["clone", "-q", shop.path("migrations.git"), clone]);
  await mkdir(join(clone, "schema"));
  await writeFile(join(clone, "README.md"), "ours");
  await writeFile(join(clone, "schema", "gone.sql"), "old");
  await git("checkout", "-q", "-B", "main");
  await git("add", "-A");
  await git("commit", "-q", "-m", "by hand");
  await git("push", "-q", "origin", "main");
  await git("commit", "-q", "--allow-empty", "-m", "a colleague's");
  const hook = shop.path("migrations.git/hooks/pre-receive");
  await mkdir(shop.path("migrations.git/hooks"), { recursive: true });
  await writeFile(hook, "#!/bin/sh\necho not on a Friday >&2\nexit 1\n");
  await chmod(hook, 0o755);
  await expect(shop.backup()).rejects.toMatchObject({
    code: "program.failed",
    message: expect.stringContaining("not on a Friday"),
  });
  // While our first push is received, a colleague's is: git refuses ours, and we begin again on theirs.
  const theirs = (await git("rev-parse", "HEAD")).stdout.trim();
  await git("push", "-q", shop.path("migrations.git"), "HEAD:refs/heads/theirs").catch(
    () => undefined,
  );
  await run("git", [
    "--git-dir",
    shop.path("migrations.git"),
    "fetch",
    "-q",
    clone,
    "main:refs/heads/theirs",
  ]);
  await writeFile(
    hook,
    `#!/bin/sh\nrm "$0"\nenv -u GIT_QUARANTINE_PATH git update-ref refs/heads/main ${theirs}\n`,
  );
  await shop.backup();
  expect(await shop.git("show", "main:README.md")).toBe("ours");
  expect(await filesOf(shop)).not.toContain("schema/gone.sql");
  expect(await commits(shop)).toEqual(["Schema of db", "a colleague's", "by hand"]);
});
