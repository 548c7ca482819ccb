import type { Bytes } from "../../kernel/index.ts";
import { manifestError } from "../errors.ts";
import type { RowSink } from "./copy-text.ts";
import { createJsonGuard } from "./json-guard.ts";
import { Scratch } from "./output-buffer.ts";
import type { OutputBuffer } from "./output-buffer.ts";

/**
 * JSON lines: one object a row. A column's type decides how all of its values stand, so that a reader needs no cases:
 * numbers that a double holds exactly as they are (NaN and the infinities as strings), booleans, json as it is,
 * everything else as PostgreSQL's text in a string. SQL NULL is null; in a json column, where `null` is a value, the
 * key is left out.
 */

interface Column {
  readonly name: string;
  readonly type: string;
}

type Kind = "number" | "boolean" | "json" | "text";

const KINDS: Readonly<Record<string, Kind>> = {
  smallint: "number",
  integer: "number",
  oid: "number",
  real: "number",
  "double precision": "number",
  boolean: "boolean",
  json: "json",
  jsonb: "json",
};

/** By the name that `format_type` gives under an empty search path: a type of the user has its schema before it. */
export function jsonKindOf(type: string): Kind {
  return Object.hasOwn(KINDS, type) ? (KINDS[type] ?? "text") : "text";
}

/** The longest number or boolean is far shorter. */
const SHORT_BYTES = 512;
const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;

const OPEN = Buffer.from("{");
const CLOSE = Buffer.from("}\n");
const NULL = Buffer.from("null");
const TRUE = Buffer.from("true");
const FALSE = Buffer.from("false");
const QUOTE = 0x22;

export function jsonLinesSink(output: OutputBuffer, columns: readonly Column[]): RowSink {
  const values = columns.map(({ name, type }) => ({
    key: Buffer.from(`${JSON.stringify(name)}:`),
    writer: writerOf(jsonKindOf(type), output, name),
  }));
  let index = 0;
  let empty = true;
  let begun = false;
  const begin = (key: Bytes): void => {
    if (begun) return;
    begun = true;
    output.all(empty ? OPEN : COMMA);
    empty = false;
    output.all(key);
  };
  return {
    value(bytes, start, end) {
      const { key, writer } = values[index] ?? noColumn();
      begin(key);
      writer.piece(bytes, start, end);
    },
    endValue(isNull) {
      const { key, writer } = values[index] ?? noColumn();
      if (!isNull) {
        begin(key);
        writer.end();
      } else if (writer.nullIsWritten) {
        begin(key);
        output.all(NULL);
      }
      begun = false;
      index += 1;
    },
    endRow() {
      if (empty) output.all(OPEN);
      output.all(CLOSE);
      index = 0;
      empty = true;
    },
  };
}

const COMMA = Buffer.from(",");

function noColumn(): never {
  throw manifestError("damaged_copy", { message: "COPY text with a row with too many values" });
}

interface ValueWriter {
  readonly nullIsWritten: boolean;
  piece(bytes: Bytes, start: number, end: number): void;
  end(): void;
}

function writerOf(kind: Kind, output: OutputBuffer, column: string): ValueWriter {
  if (kind === "text") return textWriter(output);
  if (kind === "json") return jsonWriter(output, column);
  return shortWriter(output, column, kind);
}

function textWriter(output: OutputBuffer): ValueWriter {
  let begun = false;
  const open = (): void => {
    if (!begun) output.byte(QUOTE);
    begun = true;
  };
  return {
    nullIsWritten: true,
    piece(bytes, start, end) {
      open();
      writeEscaped(output, bytes, start, end);
    },
    end() {
      open();
      output.byte(QUOTE);
      begun = false;
    },
  };
}

/** What JSON wants escaped in a string; DEL and the line separators may stand. */
const ESCAPES: readonly (Bytes | undefined)[] = Array.from({ length: 256 }, (_, byte) => {
  const escaped = byte < 0x20 || byte === QUOTE || byte === 0x5c;
  return escaped ? Buffer.from(JSON.stringify(String.fromCharCode(byte)).slice(1, -1)) : undefined;
});

const IS_ESCAPED = Uint8Array.from(ESCAPES, (escape) => (escape === undefined ? 0 : 1));

function writeEscaped(output: OutputBuffer, bytes: Bytes, start: number, end: number): void {
  let from = start;
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] ?? 0;
    if (IS_ESCAPED[byte] === 0) continue;
    output.copy(bytes, from, at);
    const escape = ESCAPES[byte];
    if (escape !== undefined) output.all(escape);
    from = at + 1;
  }
  output.copy(bytes, from, end);
}

/** As it is, but on one line: a raw line end in JSON can only be white space between tokens. */
function jsonWriter(output: OutputBuffer, column: string): ValueWriter {
  const guard = createJsonGuard(column);
  const oneLine = new Uint8Array(1);
  return {
    nullIsWritten: false,
    piece(bytes, start, end) {
      let from = start;
      for (let at = start; at < end; at += 1) {
        const byte = bytes[at] ?? 0;
        guard.byte(byte);
        if (byte !== 0x0a && byte !== 0x0d) continue;
        output.copy(bytes, from, at);
        oneLine[0] = 0x20;
        output.all(oneLine);
        from = at + 1;
      }
      output.copy(bytes, from, end);
    },
    end: () => guard.end(),
  };
}

function shortWriter(
  output: OutputBuffer,
  column: string,
  kind: "number" | "boolean",
): ValueWriter {
  const held = new Scratch(SHORT_BYTES);
  const wrong = (): Error =>
    manifestError("damaged_copy", {
      message: `a value of column ${JSON.stringify(column)} that is no ${kind}`,
    });
  return {
    nullIsWritten: true,
    piece(bytes, start, end) {
      if (!held.add(bytes, start, end)) throw wrong();
    },
    end() {
      const text = held.text();
      held.length = 0;
      if (kind === "number") {
        if (NUMBER.test(text)) output.all(Buffer.from(text, "latin1"));
        else if (/^(?:NaN|-?Infinity)$/.test(text)) output.all(Buffer.from(`"${text}"`));
        else throw wrong();
      } else if (text === "t") output.all(TRUE);
      else if (text === "f") output.all(FALSE);
      else throw wrong();
    },
  };
}
