import { dirname } from "node:path";
import { describe, expect, test } from "vitest";
import { Secret, silentLog, systemClock } from "../../src/kernel/index.ts";
import { findClientTools } from "../../src/postgres/index.ts";
import { planRestore } from "../../src/restore/index.ts";
import { captureDatabase } from "../../src/source/index.ts";
import { ROW_HASH_KEY } from "../support/capture.ts";
import { testPrograms } from "../support/cluster.ts";
import { MemorySnapshot } from "../support/memory-snapshot.ts";
import { captureForRestore, restoreOptions } from "../support/restore.ts";
import { clientsOf, startVersion } from "../support/versions.ts";

describe("a client older than its server", () => {
  test.for([16, 17, 18])(
    "is not taken for a server of %i: the hint names the package",
    async (major) => {
      const { pg_dump } = testPrograms();
      await expect(findClientTools([dirname(pg_dump)], major * 10_000 + 1)).rejects.toMatchObject({
        code: "postgres.client_tools_too_old",
        message: `pg_dump of version 15, older than the server's ${major}`,
        hint: `Run: apt-get install postgresql-client-${major}`,
      });
    },
  );

  test("the trap: forced upon a newer server, pg_dump refuses, and the run fails with its words", async () => {
    await using source = await startVersion(16);
    const files = new MemorySnapshot();
    const captured = captureDatabase(files.writer(), {
      source: { name: "app", url: new Secret(source.url()) },
      tools: clientsOf(15),
      connections: 1,
      splitBytes: 1024 * 1024,
      rowHashKey: ROW_HASH_KEY,
      clock: systemClock,
      log: silentLog,
    });
    await expect(captured).rejects.toMatchObject({
      code: "postgres.program_failed",
      message: expect.stringContaining("server version mismatch"),
    });
  });
});

test("a target older than the source is refused by both versions' names", async () => {
  await using source = await startVersion(18);
  const made = await captureForRestore(source.url(), { tools: clientsOf(18) });
  await using target = await startVersion(17);
  const options = restoreOptions(made, target.url("back"), { tools: clientsOf(18) });
  await expect(planRestore(options)).rejects.toMatchObject({
    code: "restore.target_too_old",
    message: "target server of version 17, the source was of version 18",
  });
});

describe("locale providers", () => {
  const DATABASES = [
    [16, "LOCALE_PROVIDER icu ICU_LOCALE 'de-AT'", { localeProvider: "icu" }],
    [17, "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'", { localeProvider: "builtin" }],
    [18, "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'PG_UNICODE_FAST'", { localeProvider: "builtin" }],
  ] as const;

  test.for(DATABASES)(
    "PostgreSQL %i with %s comes back as such",
    async ([major, clause, server]) => {
      await using source = await startVersion(major);
      await source.query(
        `CREATE DATABASE odd ${clause} LC_COLLATE 'C' LC_CTYPE 'C' ENCODING 'UTF8' TEMPLATE template0`,
      );
      await source.query("CREATE TABLE t AS SELECT 'Ä' AS a", { database: "odd" });
      const tools = clientsOf(major);
      const made = await captureForRestore(source.url("odd"), { tools });
      expect(made.manifest.database.server).toMatchObject(server);
      await using target = await startVersion(major);
      const options = restoreOptions(made, target.url("back"), { tools });
      const result = await (await planRestore(options)).execute();
      expect(result.issues).toEqual([]);
      expect(result.catalog.counts.ours).toBe(0);
      const locale = (database: string): string =>
        `SELECT to_jsonb(d) - 'oid' - 'datname' - 'datdba' - 'datfrozenxid' - 'datminmxid' AS d FROM pg_database d WHERE datname = '${database}'`;
      expect(await target.query(locale("back"))).toEqual(await source.query(locale("odd")));
    },
  );
});
