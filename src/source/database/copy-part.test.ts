import { describe, expect, test } from "vitest";
import { Secret, silentLog, systemClock } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import type { Connection, CopyOutOptions } from "../../postgres/index.ts";
import type { SnapshotWriter } from "../../repository/index.ts";
import type { CaptureContext } from "./context.ts";
import { createNotices } from "./notices.ts";
import type { Hold } from "./lock-watch.ts";
import { ControlSession } from "./control.ts";
import { copyPart } from "./copy-part.ts";
import { ProgressMeter } from "./progress.ts";
import type { Relation } from "./relations.ts";
import { readServerIdentity } from "./server-identity.ts";

/** A session that answers every query with the same rows, and every COPY with the same bytes and count. */
function fakeSession(
  rows: readonly Record<string, unknown>[],
  copy?: { readonly text: string; readonly count: bigint },
  lostAt?: string,
): Connection {
  const session = {
    versionNum: 150_000,
    backendPid: 1,
    pooled: false,
    query: async (sql: string) => {
      if (sql === lostAt) throw new Error("session lost");
      return rows;
    },
    async *copyOut(_sql: string, options: CopyOutOptions = {}) {
      yield Buffer.from(copy?.text ?? "");
      options.onEnd?.(copy?.count ?? 0n);
    },
    copyIn: async () => 0n,
    [Symbol.asyncDispose]: async () => undefined,
  };
  return session as unknown as Connection;
}

const TABLE: Relation = {
  oid: 5,
  schema: "public",
  name: "t",
  kind: "table",
  unlogged: false,
  fileNode: "77",
  heap: true,
  readable: true,
  rowSecurity: false,
  parents: [],
  columns: [{ number: 1, name: "a", type: "text" }],
};

class FakeControl extends ControlSession {
  override run<Result>(work: (session: Connection) => Promise<Result>): Promise<Result> {
    return work(
      fakeSession([{ schema: "public", name: "t", file_node: "77", numbers: ["1"], names: ["a"] }]),
    );
  }
}

const never: Hold = {
  signal: new AbortController().signal,
  waited: () => undefined,
  [Symbol.dispose]: () => undefined,
};

function context(kept: string[] = []): CaptureContext {
  const { signal } = new AbortController();
  const url = new Secret("postgresql://nobody@127.0.0.1:1/none");
  const session = { url, lockTimeoutMs: 1, signal };
  const writer: SnapshotWriter = {
    saveFile: async (path, content: AsyncIterable<Bytes>) => {
      let sizeBytes = 0;
      for await (const chunk of content) sizeBytes += chunk.byteLength;
      kept.push(path.join("/"));
      return { sizeBytes, sha256: "00", blobs: 1, newBytes: 0 };
    },
    discard: (path) => void kept.splice(kept.indexOf(path.join("/")), 1),
    commit: async () => Promise.reject(new Error("not committed here")),
    [Symbol.asyncDispose]: async () => undefined,
  };
  return {
    writer,
    connections: 1,
    session,
    signal,
    fail: () => undefined,
    control: new FakeControl(session),
    locks: { hold: () => never, [Symbol.asyncDispose]: async () => undefined },
    meter: new ProgressMeter(undefined),
    pace: async () => undefined,
    notices: createNotices(silentLog),
    takenAt: new Date(0),
    snapshot: {
      id: "1",
      pgSnapshot: "1:1:",
      holderPid: 1,
      versionNum: 150_000,
      [Symbol.asyncDispose]: async () => undefined,
    },
    options: {
      source: { name: "app", url },
      tools: { pgDump: "", pgRestore: "", psql: "", major: 15 },
      connections: 1,
      splitBytes: 1,
      rowHashKey: Buffer.alloc(32),
      clock: systemClock,
      log: silentLog,
    },
  };
}

describe("one part", () => {
  test("rows counted by us and by the server are the same number", async () => {
    const session = fakeSession([], { text: "1\n2\n", count: 2n });
    const kept: string[] = [];
    const { part } = await copyPart(context(kept), session, {
      table: TABLE,
      index: 0,
      format: "text",
      chunks: "table",
    });
    expect(kept).toEqual(["database/tables/public/t/0000.copy"]);
    expect(part).toMatchObject({
      rows: "2",
      sizeBytes: 4,
      path: "database/tables/public/t/0000.copy",
    });
  });

  test("if they are not, it is source.row_count_differs", async () => {
    const session = fakeSession([], { text: "1\n2\n", count: 3n });
    await expect(
      copyPart(context(), session, { table: TABLE, index: 0, format: "text", chunks: "table" }),
    ).rejects.toMatchObject({ code: "source.row_count_differs", kind: "corrupt" });
  });

  test("whose session is lost after it was stored, at its COMMIT, is not kept: it will be read again", async () => {
    const session = fakeSession([], { text: "1\n2\n", count: 2n }, "COMMIT");
    const kept: string[] = [];
    await expect(
      copyPart(context(kept), session, { table: TABLE, index: 0, format: "text", chunks: "table" }),
    ).rejects.toThrow("session lost");
    expect(kept).toEqual([]);
  });

  test("a stream that ends inside a row is an error", async () => {
    const session = fakeSession([], { text: "1\n2", count: 2n });
    await expect(
      copyPart(context(), session, { table: TABLE, index: 0, format: "text", chunks: "table" }),
    ).rejects.toMatchObject({ code: "manifest.truncated_copy" });
  });
});

test("a catalog that answers nothing is source.catalog_unreadable", async () => {
  await expect(readServerIdentity(fakeSession([]))).rejects.toMatchObject({
    code: "source.catalog_unreadable",
  });
});
