import { afterEach, describe, expect, test } from "vitest";
import { Secret, toAppError } from "../../src/kernel/index.ts";
import type { AppError, Bytes } from "../../src/kernel/index.ts";
import { connect } from "../../src/postgres/index.ts";
import type { Connection } from "../../src/postgres/index.ts";
import {
  createTestDatabase,
  failOnLeakedSessions,
  sharedCluster,
  startCluster,
} from "../support/cluster.ts";

afterEach(async () => {
  await failOnLeakedSessions(await sharedCluster());
});

async function open(
  url: string,
  options: Partial<Parameters<typeof connect>[0]> = {},
): Promise<Connection> {
  return connect({
    url: new Secret(url),
    applicationName: "sparekeep test",
    readOnly: false,
    ...options,
  });
}

async function failure(work: Promise<unknown>): Promise<AppError> {
  try {
    await work;
  } catch (error) {
    return toAppError(error);
  }
  throw new Error("expected an error");
}

async function text(chunks: AsyncIterable<Bytes>): Promise<string> {
  const parts: Bytes[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return Buffer.concat(parts).toString("utf8");
}

describe("COPY", () => {
  test("brings the rows, in large chunks, and the server's count", async () => {
    await using database = await createTestDatabase();
    await using session = await open(database.url, { readOnly: true });
    let rows = 0n;
    let chunks = 0;
    let sizeBytes = 0;
    const out = session.copyOut(
      "COPY (SELECT i, repeat('x', 90) FROM generate_series(1, 100000) i) TO STDOUT",
      { onEnd: (count) => (rows = count) },
    );
    for await (const chunk of out) {
      chunks += 1;
      sizeBytes += chunk.byteLength;
    }
    expect(rows).toBe(100_000n);
    expect(sizeBytes).toBe(100_000 * 92 + 488_895);
    expect(chunks).toBe(Math.ceil(sizeBytes / (256 * 1024)));
    expect(await session.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  test("goes in as it came out", async () => {
    await using database = await createTestDatabase({
      script:
        "CREATE TABLE a AS SELECT i, md5(i::text) h FROM generate_series(1, 50000) i; CREATE TABLE b (LIKE a)",
    });
    await using reader = await open(database.url, { readOnly: true });
    await using writer = await open(database.url);
    const rows = await writer.copyIn(
      "COPY public.b FROM STDIN",
      reader.copyOut("COPY public.a TO STDOUT"),
    );
    expect(rows).toBe(50_000n);
    expect(await database.query("SELECT count(*) FROM (TABLE a EXCEPT TABLE b) d")).toEqual([
      { count: "0" },
    ]);
  });
});
void text;
void failure;
void startCluster;
