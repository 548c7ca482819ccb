import { spawnSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { partPath, renderRecoveryFiles } from "../../src/manifest/index.ts";
import { testPrograms } from "./cluster.ts";
import type { Cluster } from "./cluster.ts";
import type { Made } from "./restore.ts";

/** Stands for the repository's escapes, which conformance tests restore with the real restic. */
const storedName = (name: string): string => name.replaceAll("%", "%25").replaceAll("/", "%2F");

/** The snapshot as stock restic restores it. */
export async function writeSnapshotFolder(made: Made): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sparekeep-recovered-"));
  const put = async (path: string, bytes: Buffer | string): Promise<void> => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  };
  const escaped = new Map(
    made.manifest.database.tables.flatMap((table) =>
      table.parts.map((part) => [part.path, partPath(table, part).map(storedName).join("/")]),
    ),
  );
  for (const [path, bytes] of made.files.files) await put(escaped.get(path) ?? path, bytes);
  for (const file of renderRecoveryFiles(made.manifest, { storedName })) {
    await put(file.path.join("/"), file.text);
    await chmod(join(folder, ...file.path), file.mode);
  }
  return folder;
}

export interface Ended {
  readonly status: number | null;
  readonly output: string;
}

export function runRestoreScript(folder: string, target: Cluster, database: string): Ended {
  const url = new URL(target.url(database));
  url.password = "";
  const result = spawnSync("sh", [join(folder, "restore.sh"), url.href], {
    env: { PATH: `${testPrograms().folder}:/usr/bin:/bin`, PGPASSWORD: target.password },
    encoding: "utf8",
  });
  return { status: result.status, output: `${result.stdout}${result.stderr}` };
}
