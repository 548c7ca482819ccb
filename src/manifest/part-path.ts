import type { NamedTable, TableExport, TableManifest, TablePart } from "./manifest.ts";

/** Names of the folders and of the file: a table's own name may hold a `/`, which the joined path cannot tell. */
export function partPath(table: TableManifest, part: TablePart): readonly string[] {
  const folder = ["database", "tables", table.schema, table.name];
  const prefix = `${folder.join("/")}/`;
  const file = part.path.slice(prefix.length);
  return part.path.startsWith(prefix) && !file.includes("/")
    ? [...folder, file]
    : part.path.split("/");
}

/** Where a run puts the rows for other programs. */
export function storedExportPath(
  { schema, name }: NamedTable,
  format: TableExport["format"],
): readonly string[] {
  return ["exports", schema, `${name}.${format}`];
}
