import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { planPartialRestore } from "../../src/restore/index.ts";
import { partialOptions, restoreRows } from "../support/partial.ts";
import type { Wanted } from "../support/partial.ts";
import { captureForRestore } from "../support/restore.ts";
import type { Made } from "../support/restore.ts";
import { fillProject, startSupabaseProject } from "../support/supabase/project.ts";
import type { SupabaseProject } from "../support/supabase/project.ts";

/** Into the very project that was captured, in which people go on working, as its owner. */
describe("rows of a snapshot, back into a project of Supabase", () => {
  let project: SupabaseProject;
  let made: Made;

  beforeAll(async () => {
    project = await startSupabaseProject();
    await fillProject(project);
    made = await captureForRestore(project.url);
  }, 60_000);
  afterAll(() => project[Symbol.asyncDispose]());

  const CONTENTS = `
    SELECT (SELECT json_agg(u ORDER BY id) FROM auth.users AS u) AS users,
           (SELECT json_agg(i ORDER BY id) FROM auth.identities AS i) AS identities,
           (SELECT json_agg(p ORDER BY id) FROM public.profiles AS p) AS profiles,
           (SELECT json_agg(o ORDER BY id) FROM public.orders AS o) AS orders,
           (SELECT json_agg(o ORDER BY id) FROM storage.objects AS o) AS files`;
  const hooks = async (): Promise<unknown> =>
    Number(await project.psql("SELECT count(*) FROM supabase_functions.hooks"));

  const restore = (wanted: readonly Wanted[], more = {}): ReturnType<typeof restoreRows> =>
    restoreRows(made, project.url, wanted, more);

  test("a deleted account comes back with all that its deletion took, and nobody is told", async () => {
    const [before] = await project.query(CONTENTS);
    const told = await hooks();
    // Orders have no cascade; the rest goes with the account.
    const user = "00000000-0000-4000-8000-000000000007";
    await project.query(`DELETE FROM public.orders WHERE buyer = '${user}'`);
    await project.query(`DELETE FROM auth.users WHERE id = '${user}'`);
    const { plan, result } = await restore([{ table: "auth.users", keys: [[user]] }], {
      withChildren: true,
    });
    expect(plan.targetIsSource).toBe(true);
    const rows = new Map(plan.tables.map(({ table, inserts }) => [table, inserts]));
    expect(rows.get("auth.users")).toBe(1n);
    expect(rows.get("auth.identities")).toBe(1n);
    expect(rows.get("public.profiles")).toBe(1n);
    expect(rows.get("public.orders")).toBe(5n);
    expect(plan.notes).toContain(
      "public.orders: whoever reads publication supabase_realtime is told of every change",
    );
    expect(result.outcome).toBe("complete");
    expect((await project.query(CONTENTS))[0]).toEqual(before);
    expect(await hooks()).toBe(told);
  });

  test("orders alone bring back the profile and the account that they need", async () => {
    const [before] = await project.query(CONTENTS);
    const user = "00000000-0000-4000-8000-000000000008";
    await project.query(`DELETE FROM public.orders WHERE buyer = '${user}'`);
    await project.query(`DELETE FROM auth.users WHERE id = '${user}'`);
    const { plan } = await restore(["public.orders"]);
    expect(plan.tables.map(({ table, inserts }) => [table, inserts])).toEqual([
      ["public.orders", 5n],
      ["public.profiles", 1n],
      ["auth.users", 1n],
    ]);
    const { identities: _, ...rest } = before ?? {};
    expect((await project.query(CONTENTS))[0]).toMatchObject(rest);
    await restore(["auth.identities", "auth.sessions", "auth.refresh_tokens"]);
    expect((await project.query(CONTENTS))[0]).toEqual(before);
  });

  test("an address that a new account took meanwhile is a conflict, two that were exchanged are none", async () => {
    const [before] = await project.query(CONTENTS);
    const rename = (from: string, to: string): Promise<unknown> =>
      project.query(`UPDATE auth.users SET email = '${to}' WHERE email = '${from}'`);
    await rename("user9@example.org", "away@example.org");
    await project.query(
      "INSERT INTO auth.users (id, email) VALUES (gen_random_uuid(), 'user9@example.org')",
    );
    {
      await using plan = await planPartialRestore(
        partialOptions(made, project.url, ["auth.users"]),
      );
      expect(plan.conflicts).toMatchObject([
        {
          code: "unique_taken",
          table: "auth.users",
          rows: 1n,
          message: expect.stringContaining("users_email_partial_key") as unknown,
        },
      ]);
    }
    await project.query("DELETE FROM auth.users WHERE email = 'user9@example.org'");
    await rename("user10@example.org", "user9@example.org");
    await rename("away@example.org", "user10@example.org");
    const { plan } = await restore(["auth.users"]);
    expect(plan.tables).toMatchObject([{ inserts: 0n, updates: 2n }]);
    // Identities and profiles, which go with a deleted account, are still there.
    expect((await project.query(CONTENTS))[0]).toEqual(before);
  });

  test("files' rows that an upload left behind go, over the trigger that protects them", async () => {
    const [before] = await project.query(CONTENTS);
    await project.query(
      "INSERT INTO storage.objects (bucket_id, name) VALUES ('avatars', 'left/behind.png')",
    );
    await project.query(
      "UPDATE storage.objects SET metadata = NULL WHERE name LIKE '%000000000011/%'",
    );
    await restore(["storage.objects"], { form: { kind: "merge", deleteExtra: true } });
    expect((await project.query(CONTENTS))[0]).toEqual(before);
  });

  test("what a project keeps for itself is not merged, and can be looked at beside it", async () => {
    const plan = planPartialRestore(partialOptions(made, project.url, ["auth.schema_migrations"]));
    await expect(plan).rejects.toMatchObject({
      code: "restore.object_refused",
      message: expect.stringContaining("record of its own migrations") as unknown,
    });
    const { result } = await restore(["auth.schema_migrations", "auth.users"], {
      form: { kind: "schema", schema: "recovered" },
    });
    expect(result.tables).toMatchObject([
      { inserted: 2n },
      { into: "recovered.users", inserted: 200n },
    ]);
    expect(
      await project.query(
        "SELECT has_table_privilege('anon', 'recovered.users', 'SELECT') AS open",
      ),
    ).toEqual([{ open: false }]);
  });
});
