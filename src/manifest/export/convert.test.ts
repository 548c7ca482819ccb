import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AppError } from "../../kernel/index.ts";
import { createTableConverter } from "./convert.ts";
import type { TableFormat } from "./convert.ts";

/** Independent of the code under test: rows to COPY text as PostgreSQL's documentation has it. */
type Row = readonly (string | null)[];

const NAMES: Readonly<Record<string, string>> = {
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  "\\": "\\\\",
};

function copyText(rows: readonly Row[]): string {
  return rows
    .map((row) =>
      row
        .map((value) =>
          value === null ? "\\N" : value.replaceAll(/[\b\f\n\r\t\v\\]/g, (c) => NAMES[c] ?? c),
        )
        .join("\t"),
    )
    .map((line) => `${line}\n`)
    .join("");
}

interface Options {
  readonly types?: readonly string[];
  readonly wanted?: ReadonlySet<string>;
  readonly cut?: number;
  readonly columns?: number;
}

function convert(
  format: TableFormat,
  text: string | Buffer,
  { types, wanted, cut = 7, columns = 2 }: Options = {},
): string {
  const names = (types ?? Array.from({ length: columns }, () => "text")).map((type, i) => ({
    name: String.fromCharCode(97 + i),
    type,
  }));
  const table = { schema: "s", name: "t", columns: names };
  const converter = createTableConverter(
    wanted === undefined ? table : { ...table, wanted },
    format,
  );
  const bytes = Buffer.from(text);
  const out = [converter.head()];
  for (let at = 0; at < bytes.byteLength; at += cut) {
    out.push(converter.push(bytes.subarray(at, at + cut)));
  }
  out.push(converter.finish());
  return Buffer.concat(out).toString();
}

/** RFC 4180 with PostgreSQL's NULL. */
function parseCsv(text: string): Row[] {
  const rows: (string | null)[][] = [];
  let row: (string | null)[] = [];
  for (let at = 0; at < text.length;) {
    let value: string | null = null;
    if (text[at] === '"') {
      const end = /(?:[^"]|"")*"/y;
      end.lastIndex = at + 1;
      const match = end.exec(text)?.[0] ?? "";
      value = match.slice(0, -1).replaceAll('""', '"');
      at += 1 + match.length;
    } else {
      const match = /[^,\n]*/y;
      match.lastIndex = at;
      const plain = match.exec(text)?.[0] ?? "";
      value = plain === "" ? null : plain;
      at += plain.length;
    }
    row.push(value);
    if (text[at] === "\n") {
      rows.push(row);
      row = [];
    }
    at += 1;
  }
  return rows;
}

function codeOf(work: () => void): string {
  try {
    work();
    return "none";
  } catch (thrown) {
    return thrown instanceof AppError ? thrown.code : String(thrown);
  }
}

const hostile = fc.oneof(
  fc.constantFrom(
    "",
    "\\N",
    "\\.",
    "\\",
    '"',
    '""',
    ",",
    "\n",
    "\r\n",
    "\t",
    "'",
    "=1+1",
    "\u0001",
  ),
  fc.constantFrom("\u{1F600}", "\u2028", "NULL", "null", "\\x41", "\\101", "-", "é", "\b\f\v"),
  fc.string({ unit: "grapheme", maxLength: 30 }).filter((text) => !text.includes("\0")),
  fc.string({ unit: fc.constantFrom("\\", "\t", "\n", '"', ",", "N", ".", "a"), maxLength: 12 }),
);
const rowsOf = (columns: number): fc.Arbitrary<Row[]> =>
  fc.array(
    fc.array(fc.option(hostile, { nil: null }), { minLength: columns, maxLength: columns }),
    { maxLength: 8 },
  );
const cuts = fc.integer({ min: 1, max: 9 });

describe("every row comes through", () => {
  test("as CSV", () => {
    fc.assert(
      fc.property(rowsOf(2), cuts, (rows, cut) => {
        const [head, ...parsed] = parseCsv(convert("csv", copyText(rows), { cut }));
        expect(head).toEqual(["a", "b"]);
        expect(parsed).toEqual(rows);
      }),
    );
  });

  test("as JSON lines", () => {
    fc.assert(
      fc.property(rowsOf(2), cuts, (rows, cut) => {
        const lines = convert("jsonl", copyText(rows), { cut }).split("\n");
        expect(lines.pop()).toBe("");
        const parsed = lines.map((line): unknown => JSON.parse(line));
        expect(parsed).toEqual(rows.map(([a, b]) => ({ a, b })));
      }),
    );
  });

  test("as COPY text, byte for byte", () => {
    fc.assert(
      fc.property(rowsOf(2), cuts, (rows, cut) => {
        const text = copyText(rows);
        expect(convert("copy", text, { cut })).toBe(
          `COPY "s"."t" ("a", "b") FROM stdin;\n${text}\\.\n`,
        );
      }),
    );
  });

  test("as INSERT statements", () => {
    fc.assert(
      fc.property(rowsOf(1), cuts, (rows, cut) => {
        const quoted = rows.map(([value]) =>
          value === null || value === undefined ? "NULL" : `'${value.replaceAll("'", "''")}'`,
        );
        expect(convert("insert", copyText(rows), { cut, columns: 1 })).toBe(
          quoted
            .map(
              (value) => `INSERT INTO "s"."t" ("a") OVERRIDING SYSTEM VALUE VALUES (${value});\n`,
            )
            .join(""),
        );
      }),
    );
  });

  test("with values far larger than what is held back", () => {
    const large = `${"x".repeat(200_000)}"${"\n".repeat(10)}`;
    const plain = "y".repeat(100_000);
    const text = copyText([[large, plain]]);
    expect(parseCsv(convert("csv", text, { cut: 8192 }))[1]).toEqual([large, plain]);
    expect(JSON.parse(convert("jsonl", text, { cut: 8192 }))).toEqual({ a: large, b: plain });
  });
});

describe("COPY text", () => {
  test.for([
    { text: "\\x41\\x4\\101\\7\\q\\xg\n", value: "A\u0004A\u0007qxg" },
    { text: "\\\\N\n", value: "\\N" },
    { text: "a\\N\n", value: "aN" },
    { text: "\\Nb\n", value: "Nb" },
    { text: "\\N\n", value: null },
    { text: "\n", value: "" },
  ])("$text", ({ text, value }) => {
    for (const cut of [1, 2, 3, 100]) {
      expect(JSON.parse(convert("jsonl", text, { columns: 1, cut }))).toEqual({ a: value });
    }
  });

  test.for([
    { text: "a\n", columns: 2, code: "manifest.damaged_copy" },
    { text: "a\tb\tc\n", columns: 2, code: "manifest.damaged_copy" },
    { text: "a\t\n", columns: 1, code: "manifest.damaged_copy" },
    { text: "\\.\n", columns: 1, code: "manifest.damaged_copy" },
    { text: "a\rb\n", columns: 1, code: "manifest.damaged_copy" },
    { text: "a\tb", columns: 2, code: "manifest.truncated_copy" },
    { text: "\\N", columns: 1, code: "manifest.truncated_copy" },
    { text: "a", columns: 0, code: "manifest.damaged_copy" },
  ])("refused: $text of $columns columns", ({ text, columns, code }) => {
    for (const format of ["csv", "jsonl", "copy", "insert"] as const) {
      expect(() => convert(format, text, { columns })).toThrow(expect.objectContaining({ code }));
    }
  });

  test("never more than an error of ours on garbage", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), cuts, (bytes, cut) => {
        expect(codeOf(() => convert("csv", Buffer.from(bytes), { cut }))).toMatch(
          /^(manifest\.|none$)/,
        );
      }),
    );
  });

  test("of a table without columns", () => {
    expect(convert("csv", "\n\n", { columns: 0 })).toBe("\n\n\n");
    expect(convert("jsonl", "\n\n", { columns: 0 })).toBe("{}\n{}\n");
    expect(convert("copy", "\n", { columns: 0 })).toBe('COPY "s"."t" FROM stdin;\n\n\\.\n');
    expect(convert("insert", "\n", { columns: 0 })).toBe('INSERT INTO "s"."t" DEFAULT VALUES;\n');
  });
});

describe("chosen columns", () => {
  const text = copyText([
    ["1", "x", null],
    ["2", null, "z"],
  ]);
  const wanted = new Set(["a", "c"]);

  test("stand alone, in the table's order", () => {
    const options = { columns: 3, wanted };
    expect(convert("csv", text, options)).toBe("a,c\n1,\n2,z\n");
    expect(convert("jsonl", text, options)).toBe('{"a":"1","c":null}\n{"a":"2","c":"z"}\n');
    expect(convert("copy", text, options)).toBe(
      'COPY "s"."t" ("a", "c") FROM stdin;\n1\t\\N\n2\tz\n\\.\n',
    );
  });
});

describe("JSON by type", () => {
  const line = (types: readonly string[], row: Row): string =>
    convert("jsonl", copyText([row]), { types, cut: 1 }).trimEnd();

  test.for([
    { type: "integer", text: "-5", json: "-5" },
    { type: "bigint", text: "9007199254740993", json: '"9007199254740993"' },
    { type: "numeric(10,2)", text: "1.10", json: '"1.10"' },
    { type: "double precision", text: "1e+308", json: "1e+308" },
    { type: "double precision", text: "NaN", json: '"NaN"' },
    { type: "real", text: "-Infinity", json: '"-Infinity"' },
    { type: "boolean", text: "t", json: "true" },
    { type: "boolean", text: "f", json: "false" },
    { type: "bytea", text: "\\x00ff", json: String.raw`"\\x00ff"` },
    { type: "json", text: '{"a":\n 1,"a":"\\n"}', json: '{"a":  1,"a":"\\n"}' },
    { type: "json", text: String.raw`"\u0000"`, json: String.raw`"\u0000"` },
    { type: "jsonb", text: "null", json: "null" },
    { type: "jsonb", text: " 12 ", json: " 12 " },
    { type: "integer[]", text: "{1,NULL}", json: '"{1,NULL}"' },
    { type: 'public."json"', text: "no json", json: '"no json"' },
  ])("$type $text", ({ type, text, json }) => {
    expect(line([type], [text])).toBe(`{"a":${json}}`);
  });

  test("SQL NULL leaves the key of a json column out, and is null elsewhere", () => {
    expect(line(["jsonb", "text"], [null, null])).toBe('{"b":null}');
    expect(line(["text", "json"], ["x", null])).toBe('{"a":"x"}');
    expect(line(["jsonb"], [null])).toBe("{}");
  });

  test.for([
    { type: "json", text: '1,"b":2' },
    { type: "json", text: '1}\n{"b":2' },
    { type: "json", text: '"a" "b"' },
    { type: "json", text: "[1}" },
    { type: "json", text: '{"a":"\\"}' },
    { type: "json", text: "" },
    { type: "json", text: "1 2" },
    { type: "json", text: '"a":1' },
    { type: "integer", text: '1,"x":2' },
    { type: "boolean", text: "true" },
  ])("a source that lies about $type is refused: $text", ({ type, text }) => {
    expect(() => line([type], [text])).toThrow(
      expect.objectContaining({ code: "manifest.damaged_copy" }),
    );
  });

  test("bytes that are not UTF-8 are refused, and pass as CSV and SQL", () => {
    const latin = Buffer.from([0x61, 0xe9, 0x0a]);
    for (const cut of [1, 2, 100]) {
      expect(() => convert("jsonl", latin, { columns: 1, cut })).toThrow(
        expect.objectContaining({ code: "manifest.not_utf8" }),
      );
    }
    const converter = createTableConverter(
      { schema: "s", name: "t", columns: [{ name: "a", type: "text" }] },
      "csv",
    );
    expect(Buffer.from(converter.push(latin))).toEqual(latin);
  });
});

test("names are quoted", () => {
  const table = {
    schema: 's"',
    name: "t\n\\.",
    columns: [{ name: 'a"; DROP TABLE x; --', type: "text" }],
  };
  expect(Buffer.from(createTableConverter(table, "copy").head()).toString()).toBe(
    'COPY "s"""."t\n\\." ("a""; DROP TABLE x; --") FROM stdin;\n',
  );
  expect(Buffer.from(createTableConverter(table, "csv").head()).toString()).toBe(
    '"a""; DROP TABLE x; --"\n',
  );
});
