import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { collectBytes, toHex } from "../kernel/index.ts";
import { addHashes, createRowHasher, formatManifest } from "../manifest/index.ts";
import type { Manifest, TableManifest } from "../manifest/index.ts";
import { destinationNamed, parsePolicy } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import type { OperationContext } from "./context.ts";
import { exportTable, saveExport } from "./export.ts";
import type { ExportOptions } from "./export.ts";
import { init } from "./init.ts";
import { openDestination } from "./open.ts";
import { testContext } from "./testing/context.ts";
import { manifestOfOnePart } from "./testing/manifest.ts";

const TEXT = `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: DB } } }
destinations: { local: { url: ./repo, password: { file: ./key } } }
plans: { full: { source: db, capture: everything, to: local } }
`;
const KEY = Buffer.alloc(32, 9);
const ROWS = ["1\tone\n2\t\\N\n", "3\tthree\n"];

let folder: string;
let context: OperationContext;
let policy: Policy;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sparekeep-export-"));
  context = testContext({ stateDirectory: join(folder, "state") });
  policy = parsePolicy({ text: TEXT, file: "p.yaml", directory: folder });
  await init(context, { policy, generatePassword: true });
});
afterEach(() => rm(folder, { recursive: true }));

function tableOf(name: string): TableManifest {
  const parts = ROWS.map((text, index) => {
    const hasher = createRowHasher(KEY, "text");
    hasher.update(Buffer.from(text));
    const sum = hasher.finish();
    return {
      path: `database/tables/public/${name}/000${index}.copy`,
      sizeBytes: text.length,
      sha256: "0".repeat(64),
      rows: String(sum.rows),
      rowHash: sum.hash,
    };
  });
  return {
    schema: "public",
    name,
    format: "text",
    unlogged: false,
    columns: [
      { name: "id", type: "integer" },
      { name: "note", type: "text" },
    ],
    rows: "3",
    rowHash: addHashes(parts.map(({ rowHash }) => rowHash)),
    parts,
  };
}

/** A snapshot whose manifest says what `change` makes of the truth. */
async function store(
  change: (table: TableManifest) => TableManifest = (table) => table,
  rows: readonly string[] = ROWS,
): Promise<void> {
  const repository = await openDestination(context, destinationNamed(policy));
  const { hostname, actor: username, pid } = context;
  await using writer = await repository.acquireWriter({ hostname, username, pid });
  const metadata = { kind: "table", modifiedAt: new Date(0) } as const;
  const tables = [tableOf("good"), change(tableOf("parts"))];
  for (const name of ["good", "parts"]) {
    for (const [index, text] of (name === "good" ? ROWS : rows).entries()) {
      const path = ["database", "tables", "public", name, `000${index}.copy`];
      await writer.saveFile(path, Buffer.from(text), metadata);
    }
  }
  const one = manifestOfOnePart("x");
  const manifest: Manifest = {
    ...one,
    rowHashKey: toHex(KEY),
    database: { ...one.database, tables },
  };
  await writer.saveFile(["manifest.json"], formatManifest(manifest), metadata);
  await writer.commit({ time: new Date(0), paths: ["/x"], tags: ["plan=full", "source=db"] });
}

function options(more: Partial<ExportOptions> = {}): ExportOptions {
  return { policy, tables: ["parts"], format: "csv", inserts: false, ...more };
}

async function text(more: Partial<ExportOptions> = {}): Promise<string> {
  const { content } = await exportTable(context, options(more));
  return Buffer.from(await collectBytes(content)).toString();
}

async function files(): Promise<string[]> {
  const found = await readdir(join(folder, "out"), { recursive: true, withFileTypes: true });
  return found.filter((one) => one.isFile()).map(({ name }) => name);
}

test("all parts of a table, one after the other", async () => {
  await store();
  expect(await text()).toBe("id,note\n1,one\n2,\n3,three\n");
  expect(await text({ format: "sql" })).toMatch(/\nBEGIN;\n[\s\S]*\n3\tthree\n\\\.\nCOMMIT;\n$/);
  expect(await text({ format: "sql", inserts: true })).toMatch(
    /^BEGIN;\n[\s\S]*\('2', NULL\);\n[\s\S]*COMMIT;\n$/,
  );
});

describe("what is not as the manifest says ends with exit code 20 and leaves no file", () => {
  const wrong = "f".repeat(64);
  test.each([
    ["a row hash of a part", (table: TableManifest) => partsWith(table, { rowHash: wrong })],
    ["a count of a part", (table: TableManifest) => partsWith(table, { rows: "7" })],
    ["a size of a part", (table: TableManifest) => partsWith(table, { sizeBytes: 9 })],
    ["the row hash of the table", (table: TableManifest) => ({ ...table, rowHash: wrong })],
    ["the count of the table", (table: TableManifest) => ({ ...table, rows: "4" })],
    [
      "a part that the manifest leaves out",
      (table: TableManifest) => ({ ...table, parts: table.parts.slice(1) }),
    ],
  ])("%s", async (_, change) => {
    await store(change);
    const saved = saveExport(context, options({ tables: ["good", "parts"] }), join(folder, "out"));
    await expect(saved).rejects.toMatchObject({
      code: "operation.export_differs",
      kind: "corrupt",
    });
    expect(await files()).toEqual(["good.csv"]);
    await expect(text({ format: "sql" })).rejects.toMatchObject({
      code: "operation.export_differs",
    });
  });

  test("other rows of the same number and size", async () => {
    await store(undefined, [ROWS[0] ?? "", "3\tTHREE\n"]);
    const saved = saveExport(context, options(), join(folder, "out"));
    await expect(saved).rejects.toMatchObject({
      code: "operation.export_differs",
      message: expect.stringContaining("0001.copy: row hash"),
    });
    expect(await files()).toEqual([]);
  });

  test("rows of another number of columns", async () => {
    await store(undefined, ["1\n2\n", "3\tx\n"]);
    const saved = saveExport(context, options(), join(folder, "out"));
    await expect(saved).rejects.toMatchObject({ kind: "corrupt" });
    expect(await files()).toEqual([]);
  });

  test("SQL has no COMMIT then", async () => {
    await store((table) => ({ ...table, rows: "4" }));
    const { content } = await exportTable(context, options({ format: "sql" }));
    const seen: string[] = [];
    const reading = (async () => {
      for await (const chunk of content) seen.push(Buffer.from(chunk).toString());
    })();
    await expect(reading).rejects.toMatchObject({ code: "operation.export_differs" });
    expect(seen.join("")).toContain("three");
    expect(seen.join("")).not.toContain("COMMIT");
  });
});

function partsWith(
  table: TableManifest,
  change: Partial<TableManifest["parts"][0]>,
): TableManifest {
  return { ...table, parts: table.parts.map((part) => ({ ...part, ...change })) };
}

test("a table of COPY binary is refused by name before anything is written", async () => {
  await store((table) => ({ ...table, format: "binary" }));
  const saved = saveExport(context, options({ tables: ["good", "parts"] }), join(folder, "out"));
  await expect(saved).rejects.toMatchObject({
    code: "operation.export_binary",
    message: expect.stringContaining("public.parts"),
    hint: expect.stringContaining("Restore"),
  });
  await expect(files()).rejects.toMatchObject({ code: "ENOENT" });
});

test("a folder that cannot be made is an error, and no endless search", async () => {
  await store();
  const denied = { code: "operation.file_unwritable", message: /\/proc\/none.*ENOENT/ };
  await expect(saveExport(context, options(), "/proc/none")).rejects.toMatchObject({
    code: denied.code,
    message: expect.stringMatching(denied.message),
  });
  await saveExport(context, options(), join(folder, "out/deep/er"));
  expect(await files()).toEqual(["parts.csv"]);
});

test("an interrupted export leaves no file", async () => {
  await store();
  const interrupted = new AbortController();
  const stopped = { ...context, signal: interrupted.signal };
  const saved = saveExport(
    stopped,
    options({ onProgress: () => interrupted.abort() }),
    join(folder, "out"),
  );
  await expect(saved).rejects.toMatchObject({ kind: "cancelled" });
  expect(await files()).toEqual([]);
});

test("the access is recorded before the repository is opened", async () => {
  await rm(join(folder, "repo"), { recursive: true });
  await expect(text({ columns: ["id"] })).rejects.toMatchObject({ kind: "not-found" });
  const log = await readFile(join(folder, "state/shop/audit.jsonl"), "utf8");
  expect(log.trimEnd().split("\n").at(-1)).toMatch(
    /"action":"export".*"columns":"id".*"format":"csv".*"tables":"public.parts"/,
  );
});
