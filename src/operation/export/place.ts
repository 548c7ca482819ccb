import { link, lstat, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { AppError, toHex } from "../../kernel/index.ts";
import type { Bytes, RandomBytes } from "../../kernel/index.ts";
import type { TableFormat } from "../../manifest/index.ts";
import type { TableName } from "../../policy/index.ts";
import { storedNameOf } from "../../repository/index.ts";
import { createNewFile, fileExists, fileUnwritable } from "../new-file.ts";

const ENDINGS: Readonly<Record<TableFormat, string>> = {
  csv: ".csv",
  jsonl: ".jsonl",
  copy: ".sql",
  insert: ".sql",
};

/** `SCHEMA/TABLE.csv`, escaped as names in a repository are: no name leaves the folder. */
export function exportPath(folder: string, table: TableName, format: TableFormat): string {
  return join(folder, fileName(table.schema), fileName(`${table.name}${ENDINGS[format]}`));
}

function fileName(name: string): string {
  const stored = Buffer.from(storedNameOf(Buffer.from(name, "utf8"))).toString("utf8");
  // Control characters may stand in a repository; in a listing of a folder they are orders to a terminal.
  // oxlint-disable-next-line no-control-regex
  return stored.replaceAll(/[\u0000-\u001F\u007F-\u009F]/g, (character) =>
    [...Buffer.from(character)]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`)
      .join(""),
  );
}

/** Before anything is read: a file that is there already stops the export of all. */
export async function requireFree(path: string): Promise<void> {
  if (await exists(path)) throw fileExists(path);
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (thrown) {
    const code = codeOf(thrown);
    if (code === "ENOENT") return false;
    throw fileUnwritable(path, thrown);
  }
}

/** Under a temporary name until it is whole and durable; never over an existing file. */
export async function saveWhole(
  path: string,
  content: AsyncIterable<Bytes>,
  random: RandomBytes,
): Promise<number> {
  const folder = dirname(path);
  const partial = join(folder, `.sparekeep-${toHex(random(8))}.partial`);
  await makeFolder(folder);
  let sizeBytes = 0;
  try {
    await using file = await createNewFile(partial, 0o600);
    for await (const chunk of content) {
      if (chunk.byteLength > 0) await file.write(chunk);
      sizeBytes += chunk.byteLength;
    }
    await file.sync();
    await giveName(partial, path);
  } catch (thrown) {
    await rm(partial, { force: true });
    // Of the name that was asked for: the other one is gone.
    if (!(thrown instanceof AppError) || thrown.code !== "operation.file_unwritable") throw thrown;
    throw fileUnwritable(path, thrown.cause);
  }
  await syncFolder(folder);
  return sizeBytes;
}

/** Node's own `recursive` never ends where a folder that exists says ENOENT, as /proc does. */
async function makeFolder(path: string, parentsMade = false): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (thrown) {
    const code = codeOf(thrown);
    if (code === "EEXIST") return;
    const parent = dirname(path);
    if (code !== "ENOENT" || parentsMade || parent === path) throw fileUnwritable(path, thrown);
    await makeFolder(parent);
    await makeFolder(path, true);
  }
}

/** A link fails where a file is; a rename would replace it. */
async function giveName(partial: string, path: string): Promise<void> {
  try {
    await link(partial, path);
    await rm(partial);
  } catch (thrown) {
    if (codeOf(thrown) === "EEXIST") throw fileExists(path);
    if (!WITHOUT_LINKS.has(codeOf(thrown))) throw fileUnwritable(path, thrown);
    // A file system without hard links.
    if (await exists(path)) throw fileExists(path);
    await rename(partial, path).catch((cause: unknown) => {
      throw fileUnwritable(path, cause);
    });
  }
}

const WITHOUT_LINKS: ReadonlySet<unknown> = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"]);

async function syncFolder(path: string): Promise<void> {
  try {
    await using folder = await open(path, "r");
    await folder.sync();
  } catch (thrown) {
    throw fileUnwritable(path, thrown);
  }
}

function codeOf(thrown: unknown): unknown {
  return thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
}
