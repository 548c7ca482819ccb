import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { codeOf } from "../../src/objectstore/testing/index.ts";
import { dumpDatabase } from "../../src/operation/index.ts";
import type { DumpResult } from "../../src/operation/index.ts";
import { testTools } from "../support/capture.ts";
import { createDumpBench } from "../support/dump-bench.ts";
import type { DumpBench } from "../support/dump-bench.ts";
import { createTestKeyring } from "../support/gpg.ts";
import type { TestKeyring } from "../support/gpg.ts";
import { fillProject, startSupabaseProject } from "../support/supabase/project.ts";
import type { SupabaseProject } from "../support/supabase/project.ts";

const run = promisify(execFile);

/** As its owner, who may not read all that is the platform's. */
describe("a portable dump of a project of Supabase", () => {
  let project: SupabaseProject;
  let keys: TestKeyring;
  let bench: DumpBench;

  beforeAll(async () => {
    project = await startSupabaseProject();
    await fillProject(project);
    keys = await createTestKeyring();
    const fingerprint = await keys.createKey("backups@x.example");
    bench = await createDumpBench(
      project.url,
      await keys.exportKey("backups@x.example"),
      fingerprint,
    );
  }, 120_000);
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
    await keys[Symbol.asyncDispose]();
    await project[Symbol.asyncDispose]();
  });

  const dump = async (name: string): Promise<DumpResult> => {
    const policy = bench.policyWith({ name: `${name}_{date}.dump.gpg` });
    return await dumpDatabase(bench.context, { policy, plan: "weekly" });
  };

  test("the trap: pg_dump as its owner ends at the first table that may not be read", async () => {
    const { pgDump } = await testTools();
    await expect(
      run(pgDump, ["--format=custom", "--file=/dev/null", `--dbname=${project.url}`]),
    ).rejects.toMatchObject({
      stderr: expect.stringMatching(/permission denied for (?:table|sequence|schema)/) as unknown,
    });
  });

  test("leaves out by name what is the platform's own and closed, and counts all the rest", async () => {
    const { manifest } = await dump("open");
    expect(manifest.leftOut?.map(({ object }) => object)).toEqual(
      expect.arrayContaining(["TABLE realtime.messages"]),
    );
    for (const { object } of manifest.leftOut ?? [])
      expect(object).toMatch(/ (?:realtime|supabase_functions|_\w+|pgsodium|net|graphql)\./);
    const names = manifest.tables.map(({ schema, name }) => `${schema}.${name}`);
    expect(names).toEqual(
      expect.arrayContaining(["public.orders", "auth.users", "storage.objects"]),
    );
    expect(names).not.toContain("realtime.messages");
  });

  test("a table of the customer's that may not be read still ends it", async () => {
    await project.psql(
      "CREATE TABLE public.closed (a int); ALTER TABLE public.closed OWNER TO supabase_admin; REVOKE ALL ON public.closed FROM PUBLIC, postgres, anon, authenticated, service_role;",
    );
    expect(await codeOf(() => dump("closed"))).toBe("postgres.program_failed");
    await project.psql("DROP TABLE public.closed");
  });
});
