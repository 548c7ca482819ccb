/** Quoting for the SQL and the shell of the files that restore a snapshot without Sparekeep. Names are hostile. */

export function sqlName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Safe whatever `standard_conforming_strings` says. */
export function sqlText(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes("\\") ? ` E${quoted.replaceAll("\\", "\\\\")}` : quoted;
}

export function sqlQualified(schema: string, name: string): string {
  return `${sqlName(schema)}.${sqlName(name)}`;
}

/** One word of a POSIX shell, whatever it holds. */
export function shellWord(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** For a remark or a cell of a table: one line, nothing that a terminal or Markdown takes for an order. */
export function plainLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, " ").replaceAll(/[`|<>]/g, " ");
}
