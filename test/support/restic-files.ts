import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, mkdir, readdir, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Entry, SnapshotReader } from "../../src/repository/index.ts";

/** What a file is, for comparison: its kind, and the SHA-256 of its content or its link's target. */
export type FoundFile = string;

/** Every entry below a folder by its path, names as Latin-1 so that any bytes compare. */
export async function filesBelow(folder: string): Promise<Map<string, FoundFile>> {
  const found = new Map<string, FoundFile>();
  await walk(Buffer.from(folder), "", found);
  return found;
}

async function walk(folder: Buffer, prefix: string, found: Map<string, FoundFile>): Promise<void> {
  const names = await readdir(folder, { encoding: "buffer" });
  for (const name of names) {
    const path = Buffer.concat([folder, Buffer.from("/"), name]);
    const shown = prefix + name.toString("latin1");
    const about = await lstat(path);
    if (about.isDirectory()) {
      found.set(shown, "folder");
      await walk(path, `${shown}/`, found);
    } else if (about.isSymbolicLink()) {
      found.set(shown, `link ${(await readlink(path, { encoding: "buffer" })).toString("latin1")}`);
    } else found.set(shown, `file ${about.size} ${await sha256Of(createReadStream(path))}`);
  }
}

export async function sha256Of(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const digest = createHash("sha256");
  for await (const bytes of stream) digest.update(bytes);
  return digest.digest("hex");
}

/** The folders in which huge folders are stored in pieces are seen through, as docs/spec/repository.md says. */
export function withoutShards(found: ReadonlyMap<string, FoundFile>): Map<string, FoundFile> {
  const plain = new Map<string, FoundFile>();
  for (const [path, file] of found) {
    const parts = path.split("/");
    if ((parts.at(-1) ?? "").startsWith("%-") && file === "folder") continue;
    plain.set(parts.filter((part) => !part.startsWith("%-")).join("/"), file);
  }
  return plain;
}

export async function entryFile(reader: SnapshotReader, entry: Entry): Promise<FoundFile> {
  if (entry.type === "dir") return "folder";
  if (entry.type === "symlink") {
    return `link ${Buffer.from(entry.linkTarget ?? []).toString("latin1")}`;
  }
  return `file ${entry.sizeBytes} ${await sha256Of(reader.read(entry))}`;
}

/** Every entry that our reader gives, in the same form. */
export async function entriesOf(
  reader: SnapshotReader,
  entries: AsyncIterable<Entry>,
): Promise<Map<string, FoundFile>> {
  const found = new Map<string, FoundFile>();
  for await (const entry of entries) {
    const path = entry.path.map((name) => Buffer.from(name).toString("latin1")).join("/");
    found.set(path, await entryFile(reader, entry));
  }
  return found;
}

export async function writeFiles(
  folder: string,
  files: Readonly<Record<string, Uint8Array | string>>,
): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    const target = join(folder, path);
    await mkdir(join(target, ".."), { recursive: true });
    await writeFile(target, content);
  }
}
