import { MANIFEST_FORMAT } from "../manifest.ts";
import type { DatabaseManifest, Manifest } from "../manifest.ts";

const ZERO_HASH = "0".repeat(64);

/** A small, valid manifest; tests change what they are about. */
export function sampleManifest(database: Partial<DatabaseManifest> = {}): Manifest {
  return {
    format: MANIFEST_FORMAT,
    plan: "nightly",
    startedAt: "2026-11-22T01:00:00.000Z",
    completedAt: "2026-11-22T01:03:00.000Z",
    tool: { name: "sparekeep", version: "0.1.0" },
    rowHashKey: ZERO_HASH,
    database: { ...sampleDatabase(), ...database },
  };
}

function sampleDatabase(): DatabaseManifest {
  return {
    source: "app",
    server: {
      systemIdentifier: "7400000000000000001",
      databaseOid: 16_384,
      databaseName: "app",
      versionNum: 150_018,
      version: "15.18",
      encoding: "UTF8",
      collate: "C.UTF-8",
      ctype: "C.UTF-8",
      localeProvider: "libc",
      owner: "app_owner",
      settings: ["timezone=Africa/Johannesburg"],
    },
    snapshot: {
      pgSnapshot: "100:100:",
      takenAt: "2026-11-22T01:00:01.000Z",
      insertLsnAfter: "0/1A2B3C4",
    },
    clientTools: { pgDump: "pg_dump (PostgreSQL) 15.18" },
    schema: { path: "database/schema.dump", sizeBytes: 10, sha256: ZERO_HASH },
    roles: [
      {
        name: "app_owner",
        superuser: false,
        inherit: true,
        createRole: false,
        createDb: false,
        canLogin: true,
        replication: false,
        bypassRls: false,
        connectionLimit: -1,
        memberOf: [],
        settings: [],
      },
    ],
    tables: [
      {
        schema: "public",
        name: "parts",
        format: "text",
        unlogged: false,
        columns: [{ name: "id", type: "bigint" }],
        rows: "2",
        rowHash: ZERO_HASH,
        parts: [
          {
            path: "database/tables/public/parts/0000.copy",
            sizeBytes: 4,
            sha256: ZERO_HASH,
            rows: "2",
            rowHash: ZERO_HASH,
          },
        ],
      },
    ],
    sequences: [{ schema: "public", name: "parts_id_seq", lastValue: "2", isCalled: true }],
    largeObjects: [],
    materializedViews: [{ schema: "public", name: "part_counts", populated: true, order: 0 }],
    leftOut: [],
  };
}
