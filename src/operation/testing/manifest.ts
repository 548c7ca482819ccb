import { MANIFEST_FORMAT } from "../../manifest/index.ts";
import type { Manifest } from "../../manifest/index.ts";

const ZERO_HASH = "0".repeat(64);

/** Of a database with one table of one part. */
export function manifestOfOnePart(path: string): Manifest {
  const file = { path, sizeBytes: 4, sha256: ZERO_HASH };
  return {
    format: MANIFEST_FORMAT,
    plan: "full",
    startedAt: "2026-11-22T01:00:00.000Z",
    completedAt: "2026-11-22T01:03:00.000Z",
    tool: { name: "sparekeep", version: "0.1.0" },
    rowHashKey: ZERO_HASH,
    database: {
      source: "db",
      server: {
        databaseOid: 16_384,
        databaseName: "app",
        versionNum: 150_018,
        version: "15.18",
        encoding: "UTF8",
        collate: "C.UTF-8",
        ctype: "C.UTF-8",
        localeProvider: "libc",
        owner: "app_owner",
        settings: [],
      },
      snapshot: { pgSnapshot: "100:100:", takenAt: "2026-11-22T01:00:01.000Z" },
      clientTools: { pgDump: "pg_dump (PostgreSQL) 15.18" },
      schema: { path: "database/schema.dump", sizeBytes: 10, sha256: ZERO_HASH },
      roles: [],
      tables: [
        {
          schema: "public",
          name: "parts",
          format: "text",
          unlogged: false,
          columns: [{ name: "id", type: "bigint" }],
          rows: "2",
          rowHash: ZERO_HASH,
          parts: [{ ...file, rows: "2", rowHash: ZERO_HASH }],
        },
      ],
      sequences: [],
      largeObjects: [],
      materializedViews: [],
      leftOut: [],
    },
  };
}
