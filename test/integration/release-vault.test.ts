import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createVaultDigest, formatManifest, parseManifest } from "../../src/manifest/index.ts";
import { planRestore } from "../../src/restore/index.ts";
import { captureToMemory, ROW_HASH_KEY } from "../support/capture.ts";
import { captureForRestore, restoreOptions } from "../support/restore.ts";
import type { Made } from "../support/restore.ts";
import { startCluster } from "../support/cluster.ts";
import { createSupabaseBench } from "../support/supabase-bench.ts";
import { fillProject, startSupabaseProject } from "../support/supabase/project.ts";
import type { SupabaseProject } from "../support/supabase/project.ts";

const SECRET = `sk_live_4711 'quoted' \\ "twice"
and a second line`;

/** On the stand-in: its cipher is pgcrypto's, its root key a setting of the server, of each project another. */
describe("secrets of Vault", () => {
  let source: SupabaseProject;
  let made: Made;

  beforeAll(async () => {
    source = await startSupabaseProject();
    await fillProject(source);
    await source.query(`SELECT vault.create_secret($s$${SECRET}$s$, 'stripe', 'of the shop')`);
    await source.query("SELECT vault.create_secret('no name')");
    await source.query("SELECT vault.create_secret('', 'empty')");
    made = await captureForRestore(source.url, { vault: "decrypted" });
  }, 60_000);

  afterAll(() => source[Symbol.asyncDispose]());

  const opened = async (project: SupabaseProject) =>
    await project.query(
      "SELECT name, description, decrypted_secret AS secret FROM vault.decrypted_secrets ORDER BY name",
    );

  const restore = async (target: SupabaseProject, from = made) =>
    await (await planRestore(restoreOptions(from, target.url, { create: false }))).execute();

  test("are not in a snapshot in the clear unless the policy says so, and both ways are named", async () => {
    const plain = await captureForRestore(source.url);
    const texts = [...plain.files.files].map(([, bytes]) => Buffer.from(bytes).toString("utf8"));
    expect(texts.join("\n")).not.toContain("sk_live_4711");
    expect(plain.manifest.database.vault).toBeUndefined();
    const said = plain.manifest.database.leftOut.find(({ object }) => object === "vault.secrets");
    expect(said?.reason).toMatch(/vault: decrypted.*pgsodium/);
    await using target = await startSupabaseProject();
    const result = await restore(target, plain);
    expect(result.withheld.map(({ object }) => object)).toContain("TABLE vault.secrets");
    expect(await opened(target)).toEqual([]);
  });

  test("stand in the manifest by name and keyed digest, never by value", () => {
    const { vault, leftOut } = made.manifest.database;
    expect(vault?.secrets.map(({ name }) => name).toSorted()).toEqual([
      "empty",
      "stripe",
      undefined,
    ]);
    const text = Buffer.from(formatManifest(made.manifest)).toString("utf8");
    expect(text).not.toContain("sk_live_4711");
    expect(parseManifest(Buffer.from(text)).database.vault).toEqual(vault);
    const stripe = vault?.secrets.find(({ name }) => name === "stripe");
    expect(stripe?.digest).toBe(createVaultDigest(ROW_HASH_KEY)(stripe?.id ?? "", SECRET));
    expect(leftOut.map(({ object }) => object)).not.toContain("vault.secrets");
  });

  test("the ciphertext opens in no other project: the trap", async () => {
    await using target = await startSupabaseProject();
    const [row] = await source.query<{ secret: string }>(
      "SELECT secret FROM vault.secrets LIMIT 1",
    );
    await target.psql(
      `INSERT INTO vault.secrets (name, secret) VALUES ('copied', '${row?.secret}')`,
    );
    await expect(opened(target)).rejects.toThrow(/Wrong key or corrupt data/);
    await expect(
      target.query("INSERT INTO vault.secrets (name, secret) VALUES ('x', 'x')"),
    ).rejects.toThrow(/permission denied/);
  });

  test("come back under the target's key and new ids, and are proven to open", async () => {
    await using target = await startSupabaseProject();
    const plan = await planRestore(restoreOptions(made, target.url, { create: false }));
    expect(plan.steps).toContain(
      "make 3 secrets of Vault again, under new ids, and compare what they open to",
    );
    const result = await plan.execute();
    expect(result.issues).toEqual([]);
    expect(await opened(target)).toEqual(await opened(source));
    const ids = await target.query("SELECT id::text AS to FROM vault.secrets ORDER BY id");
    expect(
      result.newIds.map(({ to }) => ({ to })).toSorted((a, b) => (a.to < b.to ? -1 : 1)),
    ).toEqual(ids);
    const [old] = await source.query<{ id: string }>(
      "SELECT id::text AS id FROM vault.secrets WHERE name = 'stripe'",
    );
    expect(result.newIds.find(({ object }) => object === "vault secret stripe")?.from).toBe(
      old?.id,
    );
    expect(JSON.stringify(result.newIds)).not.toContain("sk_live");
  });

  test("one that is there with another value stays, and is named", async () => {
    await using target = await startSupabaseProject();
    await target.query("SELECT vault.create_secret('of the new project', 'stripe')");
    const result = await restore(target);
    expect(result).toMatchObject({
      outcome: "incomplete",
      issues: [{ code: "vault_secret_differs", object: "vault secret stripe" }],
    });
    const [stripe] = await target.query(
      "SELECT decrypted_secret AS secret FROM vault.decrypted_secrets WHERE name = 'stripe'",
    );
    expect(stripe).toEqual({ secret: "of the new project" });
  });

  test("a target that closes them wrongly is found out", async () => {
    await using target = await startSupabaseProject();
    await target.psql(`CREATE OR REPLACE FUNCTION vault._open(secret text) RETURNS text LANGUAGE sql SECURITY DEFINER AS
      $$ SELECT left(extensions.pgp_sym_decrypt(decode(secret, 'base64'), current_setting('stand_in.vault_root_key')), 4) $$`);
    const result = await restore(target);
    expect(result.issues.map(({ code, object }) => [code, object])).toEqual(
      expect.arrayContaining([["vault_secret_differs", "vault secret stripe"]]),
    );
  });

  test("a Vault that the source itself defined is not asked to keep them", async () => {
    await using target = await startCluster();
    const result = await (await planRestore(restoreOptions(made, target.url("back")))).execute();
    expect(result.issues.map(({ code }) => code)).toEqual([
      "vault_secret_failed",
      "vault_secret_failed",
      "vault_secret_failed",
    ]);
    expect(result.issues[0]?.message).toBe("the target's vault.create_secret is no extension's");
  });

  test("of a view that anybody made are not asked for", async () => {
    await using own = await startCluster();
    await own.createDatabase("app");
    await own.psql(
      `CREATE ROLE evil; CREATE SCHEMA vault AUTHORIZATION evil; SET ROLE evil;
       CREATE FUNCTION vault.f() RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE LOG ''it ran''; RETURN 1; END';
       CREATE VIEW vault.decrypted_secrets AS
         SELECT gen_random_uuid() AS id, 'n'::text AS name, ''::text AS description, vault.f() AS decrypted_secret`,
      "app",
    );
    const { issues } = await captureToMemory(own.url("app"), { vault: "decrypted" });
    expect(issues).toMatchObject([{ code: "vault_unread" }]);
    expect(await readFile(join(own.folder, "log"), "utf8")).not.toContain("it ran");
  });

  test("that cannot be read are an issue of the backup", async () => {
    await source.psql("REVOKE SELECT ON vault.decrypted_secrets FROM postgres, service_role");
    const { issues, database } = await captureToMemory(source.url, { vault: "decrypted" });
    await source.psql("GRANT SELECT ON vault.decrypted_secrets TO postgres, service_role");
    expect(issues).toMatchObject([{ code: "vault_unread", object: "vault.decrypted_secrets" }]);
    expect(database.vault).toBeUndefined();
    expect(database.leftOut.map(({ object }) => object)).toContain("vault.secrets");
  });

  test(
    "go through the program as the policy says, and are printed nowhere",
    {
      timeout: 120_000,
    },
    async () => {
      await using bench = await createSupabaseBench(source.url);
      await using target = await startSupabaseProject();
      await bench.policy("", (text) =>
        text.replace("kind: supabase", "kind: supabase, vault: decrypted"),
      );
      await bench.init();
      const stored = await bench.cli.run(["backup", "--verbose"]);
      expect(stored.code).toBe(0);
      const env = { TARGET_URL: target.url };
      const restored = await bench.cli.run(["restore", "--to-env", "TARGET_URL", "--yes"], { env });
      expect(restored.code).toBe(0);
      expect(restored.stdout).toMatch(
        /^new id: vault secret stripe: [0-9a-f-]{36} is now [0-9a-f-]{36}$/m,
      );
      expect(await opened(target)).toEqual(await opened(source));
      for (const { stdout, stderr } of [stored, restored]) {
        expect(stdout + stderr).not.toContain("sk_live_4711");
      }
      const [policy = ""] = await readdir(bench.cli.stateFolder);
      const log = join(bench.cli.stateFolder, policy, "audit.jsonl");
      expect(await readFile(log, "utf8")).not.toContain("sk_live_4711");
    },
  );
});
