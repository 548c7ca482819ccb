import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Secret, silentLog, systemClock } from "../../src/kernel/index.ts";
import { MANIFEST_FORMAT, formatManifest, renderRecoveryFiles } from "../../src/manifest/index.ts";
import { createTemporaryFolder } from "../../src/objectstore/testing/index.ts";
import { storedNameOf } from "../../src/repository/index.ts";
import { captureDatabase } from "../../src/source/index.ts";
import { ROW_HASH_KEY, testTools } from "../support/capture.ts";
import { createTestDatabase, startCluster } from "../support/cluster.ts";
import { differencesBetween } from "../support/compare.ts";
import { runRestoreScript } from "../support/recovered-folder.ts";
import { NEWEST_RESTIC, OLDEST_RESTIC, createRestic } from "../support/restic.ts";
import { PASSWORD, WRITER, createOurs, once, storeAt } from "../support/restic-repository.ts";

/** Names that a file system cannot hold, that escapes are made of, and that a shell or SQL would take for orders. */
const NAMES = [
  "sla/sh",
  ".",
  "..",
  "%2F",
  "100%",
  "it's",
  'qu"ote',
  "$(id)",
  "-rf *",
  "line\nfeed",
  // The same letter, composed and not.
  "\u00E9",
  "e\u0301",
];

const SCRIPT = `
CREATE ROLE app LOGIN;
${NAMES.map((name, index) => {
  const quoted = `"${name.replaceAll('"', '""')}"`;
  return `CREATE SCHEMA ${quoted} AUTHORIZATION app; SET ROLE app;
    CREATE TABLE ${quoted}.${quoted} (${quoted} int PRIMARY KEY, b text);
    INSERT INTO ${quoted}.${quoted} SELECT n, 'row ' || n FROM generate_series(1, ${index + 3}) AS n; RESET ROLE;`;
}).join("\n")}
SELECT lo_from_bytea(4711, '\\x00ff0a0d5c');
ALTER LARGE OBJECT 4711 OWNER TO app;
`;

describe("a snapshot without Sparekeep", () => {
  test.for([...new Set([OLDEST_RESTIC, NEWEST_RESTIC])])(
    "is restored by restic %s and its own restore.sh, whatever its tables are called",
    async (version) => {
      await using sourceCluster = await startCluster({ superuser: "source_boot" });
      await using source = await createTestDatabase({ cluster: sourceCluster, script: SCRIPT });
      await using folder = await createTemporaryFolder();
      await writeSnapshot(join(folder.path, "repository"), source.url);
      await using restic = await createRestic(version, join(folder.path, "repository"), PASSWORD);
      await restic.run(["restore", "latest", "--target", join(folder.path, "recovered")]);
      await using target = await startCluster();
      await target.createDatabase("another");
      await target.createDatabase("recovered");
      const ended = runRestoreScript(join(folder.path, "recovered"), target, "recovered");
      expect(ended).toEqual({ status: 0, output: expect.not.stringMatching(/error|no file/i) });
      const ignoreRoles = ["source_boot", target.superuser];
      expect(
        await differencesBetween(
          { url: source.url, ignoreRoles },
          { url: target.url("recovered"), ignoreRoles },
        ),
      ).toEqual([]);
    },
  );
});

async function writeSnapshot(repositoryFolder: string, url: string): Promise<void> {
  const repository = await createOurs(storeAt(repositoryFolder));
  await using writer = await repository.acquireWriter(WRITER);
  const { database, issues } = await captureDatabase(writer, {
    source: { name: "app", url: new Secret(url) },
    tools: await testTools(),
    connections: 2,
    splitBytes: 1024 * 1024,
    rowHashKey: ROW_HASH_KEY,
    clock: systemClock,
    log: silentLog,
  });
  expect(issues).toEqual([]);
  const time = new Date(database.snapshot.takenAt);
  const manifest = {
    format: MANIFEST_FORMAT,
    plan: "test",
    startedAt: time.toISOString(),
    completedAt: time.toISOString(),
    tool: { name: "sparekeep", version: "0.1.0" },
    rowHashKey: ROW_HASH_KEY.toString("hex"),
    database,
  } as const;
  const storedName = (name: string): string =>
    Buffer.from(storedNameOf(Buffer.from(name))).toString("utf8");
  for (const { path, text, mode } of renderRecoveryFiles(manifest, { storedName })) {
    await writer.saveFile(path, once(Buffer.from(text)), { kind: "file", modifiedAt: time, mode });
  }
  const bytes = formatManifest(manifest);
  await writer.saveFile(["manifest.json"], once(bytes), { kind: "file", modifiedAt: time });
  await writer.commit({ time, paths: ["/app"], tags: [] });
}
