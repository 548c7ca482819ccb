/**
 * Names of tables as people write them: `orders`, `sales.orders`, `"odd.schema"."Odd ""table"""`. A part without
 * quotes stands as it is, upper case too; a part that holds a dot or a quote stands in double quotes, as in SQL.
 */
export interface TableName {
  readonly schema: string;
  readonly name: string;
}

const DEFAULT_SCHEMA = "public";
const PART = /"((?:[^"]|"")+)"|([^".]+)/y;

/** `undefined` for what is no name. */
export function parseTableName(text: string): TableName | undefined {
  const parts: string[] = [];
  for (let at = 0; parts.length < 3;) {
    PART.lastIndex = at;
    const match = PART.exec(text);
    if (match === null) return undefined;
    parts.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? "");
    at += match[0].length;
    if (at === text.length) break;
    if (text[at] !== ".") return undefined;
    at += 1;
  }
  const [first = "", second] = parts;
  if (parts.length > 2 || text.includes("\0")) return undefined;
  return second === undefined
    ? { schema: DEFAULT_SCHEMA, name: first }
    : { schema: first, name: second };
}

/** What `parseTableName` reads as this table. */
export function tableNameText({ schema, name }: TableName): string {
  return `${partText(schema)}.${partText(name)}`;
}

function partText(part: string): string {
  return /[".]/.test(part) ? `"${part.replaceAll('"', '""')}"` : part;
}
