import type { TableManifest, TablePart } from "./manifest.ts";

/** Names of the folders and of the file: a table's own name may hold a `/`, which the joined path cannot tell. */
export function partPath(table: TableManifest, part: TablePart): readonly string[] {
  const folder = ["database", "tables", table.schema, table.name];
  const prefix = `${folder.join("/")}/`;
  const file = part.path.slice(prefix.length);
  return part.path.startsWith(prefix) && !file.includes("/")
    ? [...folder, file]
    : part.path.split("/");
}
