import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { planRestore } from "../../src/restore/index.ts";
import { startCluster, testPrograms } from "../support/cluster.ts";
import { differencesBetween } from "../support/compare.ts";
import { captureForRestore, restoreOptions } from "../support/restore.ts";
import type { Made } from "../support/restore.ts";
import { fillProject, startSupabaseProject } from "../support/supabase/project.ts";
import type { SupabaseProject } from "../support/supabase/project.ts";

let source: SupabaseProject;
let made: Made;

beforeAll(async () => {
  source = await startSupabaseProject();
  await fillProject(source);
  made = await captureForRestore(source.url);
}, 60_000);

afterAll(() => source[Symbol.asyncDispose]());

async function restoreInto(target: SupabaseProject, signal?: AbortSignal) {
  const stops = signal === undefined ? {} : { signal };
  const plan = await planRestore(restoreOptions(made, target.url, { create: false, ...stops }));
  return await plan.execute();
}

/** As the platforms' superusers see them, who are not compared themselves. */
async function differences(target: SupabaseProject): Promise<readonly string[]> {
  const sides = [source, target].map(({ cluster }) => ({ url: cluster.url("postgres") }));
  const [before = { url: "" }, after = { url: "" }] = sides;
  const lines = await differencesBetween(before, after);
  return lines.filter((line) => !PLATFORMS_ROWS.test(line));
}

/** Of the customer's: what waits to be released (I5). */
const WITHHELD = [
  'publication supabase_realtime: tables: ["public.orders  "] became null',
  "trigger public.orders tell_the_shop: exists: present became missing",
];

/** Records that each project keeps for itself. */
const PLATFORMS_ROWS =
  /^(?:rows|sequence value) (?:realtime\.\w+|storage\.migrations|supabase_functions\.\w+): /;

describe("a project of Supabase, captured as its owner", () => {
  test("holds accounts, files' rows and the application, and says what it left out", () => {
    const { tables, leftOut, platform } = made.manifest.database;
    expect(platform).toBe("supabase");
    const rows = new Map(tables.map((table) => [`${table.schema}.${table.name}`, table.rows]));
    expect(rows.get("auth.users")).toBe("200");
    expect(rows.get("storage.objects")).toBe("200");
    expect(rows.get("public.orders")).toBe("1000");
    expect(rows.get("supabase_migrations.schema_migrations")).toBe("1");
    expect([...rows.keys()].filter((name) => name.startsWith("realtime."))).toEqual([]);
    const said = new Map(leftOut.map(({ object, reason }) => [object, reason]));
    expect(said.get("vault.secrets")).toContain("root key");
    expect(said.get("realtime.messages")).toContain("platform's own");
  });
});

describe("into a new project, as its owner", () => {
  test("pg_restore of a whole dump fails hundreds of times: the trap", async () => {
    await using target = await startSupabaseProject();
    const { pg_dump: dump, pg_restore: restore } = testPrograms();
    const whole = spawnSync(dump, ["-Fc", source.cluster.url("postgres")], { maxBuffer: 1e8 });
    expect(whole.status).toBe(0);
    const { stderr } = spawnSync(restore, ["--no-password", `--dbname=${target.url}`], {
      input: whole.stdout,
      encoding: "utf8",
      maxBuffer: 1e8,
    });
    expect(Number(/errors ignored on restore: (\d+)/.exec(stderr)?.[1])).toBeGreaterThan(50);
    expect(stderr).toContain("already exists");
  });

  test("everything of the customer's comes back, and nothing of the platform's is changed", async () => {
    await using target = await startSupabaseProject();
    const result = await restoreInto(target);
    expect(result).toMatchObject({ outcome: "complete", issues: [], tables: 12, rows: 1914n });
    expect(result.withheld).toContainEqual({
      object: "TRIGGER public.orders tell_the_shop",
      reason: expect.stringContaining("webhook") as unknown,
    });
    expect(result.verified).toEqual({ tables: 12, rows: 1914n });
    expect(await differences(target)).toEqual(WITHHELD);
    // The trigger on accounts did not make each profile a second time, and makes one for the next account.
    const count = "SELECT count(*)::int AS profiles FROM public.profiles";
    expect(await target.query(count)).toEqual([{ profiles: 200 }]);
    await target.query(
      "INSERT INTO auth.users (id, email, raw_user_meta_data) VALUES (gen_random_uuid(), 'new@example.org', '{}')",
    );
    expect(await target.query(count)).toEqual([{ profiles: 201 }]);
  });

  test("a project whose defaults give every new table away gets the source's defaults first", async () => {
    await using target = await startSupabaseProject();
    await target.psql(`ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public
      GRANT ALL ON TABLES TO dashboard_user WITH GRANT OPTION`);
    expect((await restoreInto(target)).issues).toEqual([]);
    expect(await differences(target)).toEqual(WITHHELD);
  });

  test("a policy and a trigger that are there under the same name stay as they are", async () => {
    await using target = await startSupabaseProject();
    await target.psql(`
      CREATE POLICY "own folder" ON storage.objects FOR INSERT TO authenticated WITH CHECK (false);
      CREATE FUNCTION extensions.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
      CREATE TRIGGER on_auth_user_created AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION extensions.nothing()`);
    expect((await restoreInto(target)).issues).toEqual([]);
    const policies = await target.query(
      "SELECT polname::text, pg_get_expr(polwithcheck, polrelid) AS check FROM pg_policy WHERE polname = 'own folder'",
    );
    expect(policies).toEqual([{ polname: "own folder", check: "false" }]);
  });

  test("one that holds something is refused, and stays as it is", { timeout: 60_000 }, async () => {
    await using target = await startSupabaseProject();
    for (const [script, undo, named] of [
      ["CREATE TABLE public.mine (a int)", "DROP TABLE public.mine", "public.mine"],
      [
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DROP FUNCTION public.f",
        "f()",
      ],
      ["CREATE SCHEMA shop", "DROP SCHEMA shop", "schema shop"],
      [
        "INSERT INTO auth.users (id) VALUES (gen_random_uuid())",
        "DELETE FROM auth.users",
        "rows in auth.users",
      ],
      ["SELECT lo_from_bytea(4711, 'x')", "SELECT lo_unlink(4711)", "large object"],
      ["INSERT INTO storage.buckets (id, name) VALUES ('b', 'b')", "SELECT 1", "storage.buckets"],
    ] as const) {
      await target.query(script);
      await expect(restoreInto(target)).rejects.toMatchObject({
        code: "restore.target_not_empty",
        message: expect.stringContaining(named) as unknown,
      });
      await target.query(undo);
    }
  });

  test("an older project gets the columns that it has, and what is lost is said", async () => {
    await using target = await startSupabaseProject();
    await target.psql(`
      ALTER TABLE auth.users DROP COLUMN is_anonymous, DROP COLUMN deleted_at;
      ALTER TABLE auth.mfa_factors ALTER factor_type TYPE text;
      ALTER TABLE storage.objects ADD COLUMN level int DEFAULT 7`);
    const result = await restoreInto(target);
    // Nobody was deleted: that column held nothing.
    expect(result.issues).toMatchObject([{ code: "columns_missing", object: "TABLE auth.users" }]);
    expect(result.issues[0]?.message).toContain("is_anonymous");
    expect(result.outcome).toBe("incomplete");
    const [users] = await target.query<{ users: string }>(
      "SELECT string_agg(email, ' ' ORDER BY email) AS users FROM auth.users",
    );
    const [before] = await source.query<{ users: string }>(
      "SELECT string_agg(email, ' ' ORDER BY email) AS users FROM auth.users",
    );
    expect(users).toEqual(before);
    expect(await target.query("SELECT DISTINCT level FROM storage.objects")).toEqual([
      { level: 7 },
    ]);
  });

  test("the platform's superuser is refused: postgres is who restores", async () => {
    await using target = await startSupabaseProject();
    const url = target.cluster.url("postgres");
    const plan = planRestore(restoreOptions(made, url, { create: false }));
    await expect(plan).rejects.toMatchObject({ code: "restore.platform_superuser" });
  });

  test("an interrupted restore goes on where it was", { timeout: 120_000 }, async () => {
    await using target = await startSupabaseProject();
    for (const step of ["schema", "tables", "indexes", "finish"]) {
      const controller = new AbortController();
      const plan = await planRestore(
        restoreOptions(made, target.url, {
          create: false,
          signal: controller.signal,
          onProgress: (progress) => {
            if (progress.step === step) controller.abort();
          },
        }),
      );
      await expect(plan.execute()).rejects.toMatchObject({ kind: "cancelled" });
    }
    expect((await restoreInto(target)).issues).toEqual([]);
    expect(await differences(target)).toEqual(WITHHELD);
  });
});

const PLATFORMS_OWN = [
  /^role \w+: (?:replication|settings)/,
  /^(?:event trigger pgrst_ddl_watch|publication supabase_realtime):/,
  /^(?:sequence )?\w+ (?:realtime|vault|supabase_functions)\./,
];

test(
  "into a server of one's own the platform's schemas and roles are made, too",
  { timeout: 60_000 },
  async () => {
    await using target = await startCluster();
    const plan = await planRestore(restoreOptions(made, target.url("back")));
    const result = await plan.execute();
    expect(result.issues).toEqual([]);
    // Nothing there is a platform's but the roles of the server itself: what is missing was announced.
    const unannounced = result.catalog.differences.filter(
      (one) => one.class !== "withheld" && !one.object.startsWith("role boot_"),
    );
    expect(unannounced).toEqual([]);
    const ignoreRoles = [target.superuser, "supabase_admin"];
    const left = await differencesBetween(
      { url: source.cluster.url("postgres"), ignoreRoles },
      { url: target.url("back"), ignoreRoles },
    );
    // Withheld aloud, or not to be read by a customer: nothing of the customer's own is among it.
    const others = left.filter((line) => !PLATFORMS_OWN.some((own) => own.test(line)));
    expect(others).toEqual(["trigger public.orders tell_the_shop: exists: present became missing"]);
  },
);
