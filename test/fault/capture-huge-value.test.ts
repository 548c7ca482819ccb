import { afterEach, describe, expect, test } from "vitest";
import { Secret, toAppError } from "../../src/kernel/index.ts";
import type { AppError, Bytes } from "../../src/kernel/index.ts";
import { createRowHasher } from "../../src/manifest/index.ts";
import { connect } from "../../src/postgres/index.ts";
import { ROW_HASH_KEY, captureToMemory } from "../support/capture.ts";
import { createTestDatabase, failOnLeakedSessions, sharedCluster } from "../support/cluster.ts";

/** Legal values that COPY text cannot carry. Each needs gigabytes of the server's memory for a moment. */

afterEach(async () => {
  await failOnLeakedSessions(await sharedCluster());
});

const VALUE_BYTES = 560 * 1024 * 1024;
/** Built by concatenation of a compressible value: a small table on disk, a huge value in memory. */
const COMPRESSED = `
  CREATE TABLE huge (id int, v bytea);
  INSERT INTO huge SELECT 1, 'small' FROM generate_series(1, 5000);
  INSERT INTO huge SELECT 2, convert_to(repeat('abcdefgh', ${VALUE_BYTES / 8}), 'UTF8');
  CREATE TABLE bystander AS SELECT 1 AS a;`;

async function failure(work: Promise<unknown>): Promise<AppError> {
  try {
    await work;
  } catch (error) {
    return toAppError(error);
  }
  throw new Error("expected an error");
}

async function sizeOf(chunks: AsyncIterable<Bytes>): Promise<number> {
  let sizeBytes = 0;
  for await (const chunk of chunks) sizeBytes += chunk.byteLength;
  return sizeBytes;
}

describe("a bytea of 560 MB", () => {
  test("the trap: COPY text of it fails; the table is stored as binary, whole", async () => {
    await using database = await createTestDatabase({ script: COMPRESSED });
    {
      await using session = await connect({
        url: new Secret(database.url),
        applicationName: "sparekeep test",
        readOnly: true,
      });
      expect(await failure(sizeOf(session.copyOut("COPY public.huge TO STDOUT")))).toMatchObject({
        code: "postgres.value_too_large",
      });
    }
    // In several parts, by one session: those before the huge value's were stored as text already.
    const formats: string[] = [];
    const capture = await captureToMemory(database.url, {
      connections: 1,
      splitBytes: 2 * 1024 * 1024,
      hooks: {
        afterFile: async (path) => {
          if (path.includes("huge")) formats.push(path.split(".").at(-1) ?? "");
        },
      },
    });
    expect(new Set(formats)).toEqual(new Set(["copy", "copy-binary"]));
    expect(capture.issues).toEqual([]);
    const huge = capture.database.tables.find((one) => one.name === "huge");
    expect(huge).toMatchObject({ format: "binary", rows: "5001" });
    expect(capture.database.tables.find((one) => one.name === "bystander")).toMatchObject({
      format: "text",
      rows: "1",
    });
    const parts = huge?.parts ?? [];
    const part = parts.at(-1);
    const bytes = await capture.read(part?.path ?? "");
    expect(bytes.byteLength).toBeGreaterThan(VALUE_BYTES);
    const hasher = createRowHasher(ROW_HASH_KEY, "binary");
    hasher.update(bytes);
    expect(hasher.finish()).toEqual({ rows: BigInt(part?.rows ?? -1), hash: part?.rowHash });
    const stored = capture.paths.filter((path) => path.includes("huge"));
    expect(stored).toEqual(parts.map(({ path }) => path));
  });

  test("one that is stored uncompressed is found before text is tried", async () => {
    await using database = await createTestDatabase({
      script: `CREATE TABLE huge (id int, v bytea); ALTER TABLE huge ALTER v SET STORAGE EXTERNAL;
               INSERT INTO huge SELECT 1, convert_to(repeat('abcdefgh', ${(300 * 1024 * 1024) / 8}), 'UTF8')`,
    });
    const formats: string[] = [];
    const capture = await captureToMemory(database.url, {
      splitBytes: Number.MAX_SAFE_INTEGER,
      hooks: {
        beforeFile: async (path) => {
          if (path.includes("huge")) formats.push(path);
        },
      },
    });
    expect(capture.issues).toEqual([]);
    expect(formats).toEqual(["database/tables/public/huge/0000.copy-binary"]);
  });
});
