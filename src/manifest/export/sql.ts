import type { Bytes } from "../../kernel/index.ts";
import { sqlName, sqlQualified } from "../sql-text.ts";
import type { RowSink } from "./copy-text.ts";
import { writeDoubled } from "./csv.ts";
import type { OutputBuffer } from "./output-buffer.ts";

/** SQL in two styles: COPY blocks, which psql alone reads, and INSERT statements, which everything reads. */

export type SqlStyle = "copy" | "insert";

interface Named {
  readonly schema: string;
  readonly name: string;
}

/**
 * All or nothing: a stream that was cut off has no COMMIT. Settings as the rows were read under; they end with the
 * transaction. Where a COPY is refused, psql would go on and read the rows as statements, so it is told to stop first.
 */
export function sqlHead(style: SqlStyle): string {
  const stop = style === "copy" ? "\\set ON_ERROR_STOP on\n" : "";
  const settings = [
    "client_encoding = 'UTF8'",
    "standard_conforming_strings = on",
    "datestyle = 'ISO, YMD'",
    "intervalstyle = postgres",
    "timezone = 'UTC'",
    "lc_monetary = 'C'",
    "xmloption = content",
    "row_security = off",
    "statement_timeout = 0",
  ];
  return `${stop}BEGIN;\n${settings.map((setting) => `SET LOCAL ${setting};\n`).join("")}`;
}

export const SQL_TAIL = "COMMIT;\n";

export function copyHead(table: Named, columns: readonly string[]): string {
  const list = columns.length === 0 ? "" : ` (${columns.map(sqlName).join(", ")})`;
  return `COPY ${sqlQualified(table.schema, table.name)}${list} FROM stdin;\n`;
}

export const COPY_TAIL = "\\.\n";

const ESCAPED: ReadonlyMap<number, number> = new Map([
  [0x08, 0x62],
  [0x09, 0x74],
  [0x0a, 0x6e],
  [0x0b, 0x76],
  [0x0c, 0x66],
  [0x0d, 0x72],
  [0x5c, 0x5c],
]);

const IS_ESCAPED = new Uint8Array(256);
for (const byte of ESCAPED.keys()) IS_ESCAPED[byte] = 1;

/** COPY text again, as the server writes it. */
export function copySink(output: OutputBuffer): RowSink {
  let first = true;
  let begun = false;
  const separate = (): void => {
    if (!begun && !first) output.byte(0x09);
    begun = true;
    first = false;
  };
  return {
    value(bytes, start, end) {
      separate();
      let from = start;
      for (let at = start; at < end; at += 1) {
        const byte = bytes[at] ?? 0;
        if (IS_ESCAPED[byte] === 0) continue;
        output.copy(bytes, from, at);
        output.byte(0x5c);
        output.byte(ESCAPED.get(byte) ?? byte);
        from = at + 1;
      }
      output.copy(bytes, from, end);
    },
    endValue(isNull) {
      separate();
      if (isNull) {
        output.byte(0x5c);
        output.byte(0x4e);
      }
      begun = false;
    },
    endRow() {
      output.byte(0x0a);
      first = true;
    },
  };
}

const QUOTE = 0x27;

/** OVERRIDING SYSTEM VALUE: identity columns take the values as they were, as COPY does. */
export function insertSink(
  output: OutputBuffer,
  table: Named,
  columns: readonly string[],
): RowSink {
  const into = `INSERT INTO ${sqlQualified(table.schema, table.name)}`;
  if (columns.length === 0) {
    const line = Buffer.from(`${into} DEFAULT VALUES;\n`);
    return { value: () => undefined, endValue: () => undefined, endRow: () => output.all(line) };
  }
  const head = Buffer.from(
    `${into} (${columns.map(sqlName).join(", ")}) OVERRIDING SYSTEM VALUE VALUES (`,
  );
  let first = true;
  let begun = false;
  const separate = (): void => {
    if (first) output.all(head);
    else output.all(COMMA);
    first = false;
  };
  const open = (): void => {
    if (begun) return;
    separate();
    output.byte(QUOTE);
    begun = true;
  };
  return {
    value(bytes: Bytes, start: number, end: number) {
      open();
      writeDoubled(output, bytes, start, end, QUOTE);
    },
    endValue(isNull) {
      if (isNull) {
        separate();
        output.all(NULL);
      } else {
        open();
        output.byte(QUOTE);
      }
      begun = false;
    },
    endRow() {
      output.all(END_OF_VALUES);
      first = true;
    },
  };
}

const COMMA = Buffer.from(", ");
const NULL = Buffer.from("NULL");
const END_OF_VALUES = Buffer.from(");\n");
