import { printable } from "./printable.ts";
import { textWidth } from "./width.ts";

/** Columns wide enough for their widest cell, two spaces between; numbers to the right. */
export function formatTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  rightAligned: readonly string[] = [],
): string[] {
  const cells = [head, ...rows.map((row) => row.map(printable))];
  const widths = head.map((_, column) =>
    Math.max(...cells.map((row) => textWidth(row[column] ?? ""))),
  );
  return cells.map((row) =>
    head
      .map((title, column) => {
        const text = row[column] ?? "";
        const pad = " ".repeat(Math.max(0, (widths[column] ?? 0) - textWidth(text)));
        return rightAligned.includes(title) ? pad + text : text + pad;
      })
      .join("  ")
      .trimEnd(),
  );
}
