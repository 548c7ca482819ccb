import { randomBytes } from "node:crypto";
import { Secret, silentLog, systemClock } from "../../src/kernel/index.ts";
import { LIMITED_MANIFEST_FORMAT, MANIFEST_FORMAT } from "../../src/manifest/index.ts";
import type { Manifest } from "../../src/manifest/index.ts";
import type { RestoreOptions } from "../../src/restore/index.ts";
import { captureDatabase } from "../../src/source/index.ts";
import type { CaptureOptions } from "../../src/source/index.ts";
import { ROW_HASH_KEY, testTools } from "./capture.ts";
import { testPrograms } from "./cluster.ts";
import { MemorySnapshot } from "./memory-snapshot.ts";

/** A snapshot in memory with its manifest. */
export interface Made {
  readonly files: MemorySnapshot;
  readonly manifest: Manifest;
}

/** By the real capture. */
export async function captureForRestore(
  url: string,
  more: Partial<Pick<CaptureOptions, "leaves" | "only" | "tools" | "vault">> = {},
): Promise<Made> {
  const files = new MemorySnapshot();
  const { database, issues } = await captureDatabase(files.writer(), {
    source: { name: "app", url: new Secret(url) },
    tools: await testTools(),
    connections: 2,
    splitBytes: 256 * 1024,
    rowHashKey: ROW_HASH_KEY,
    clock: systemClock,
    log: silentLog,
    ...more,
  });
  if (issues.length > 0) throw new Error(`capture is incomplete: ${JSON.stringify(issues)}`);
  const manifest: Manifest = {
    format: database.limitedTo === undefined ? MANIFEST_FORMAT : LIMITED_MANIFEST_FORMAT,
    plan: "test",
    startedAt: database.snapshot.takenAt,
    completedAt: database.snapshot.takenAt,
    tool: { name: "sparekeep", version: "0.1.0" },
    rowHashKey: ROW_HASH_KEY.toString("hex"),
    database,
  };
  return { files, manifest };
}

export function restoreOptions(
  made: Made,
  url: string,
  more: Partial<RestoreOptions> = {},
): RestoreOptions {
  const programs = testPrograms();
  return {
    reader: made.files.reader(),
    snapshot: made.files.snapshot,
    manifest: made.manifest,
    targetUrl: new Secret(url),
    create: true,
    tools: {
      pgDump: programs.pg_dump,
      pgRestore: programs.pg_restore,
      psql: programs.psql,
      major: 15,
    },
    connections: 2,
    trustSource: false,
    clock: systemClock,
    random: (size) => randomBytes(size),
    log: silentLog,
    ...more,
  };
}
