import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AppError } from "../kernel/index.ts";
import { formatManifest, parseManifest } from "./manifest-format.ts";
import { sampleManifest } from "./testing/sample-manifest.ts";

const text = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

function errorOf(bytes: Uint8Array): AppError {
  try {
    parseManifest(bytes);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error("no error was thrown");
}

describe("manifest.json", () => {
  test("comes back as it went in", () => {
    const manifest = sampleManifest();
    expect(parseManifest(formatManifest(manifest))).toEqual(manifest);
  });

  test("names the place of a wrong value", () => {
    const manifest = sampleManifest();
    const error = errorOf(
      text({ ...manifest, database: { ...manifest.database, tables: [{ schema: "a" }] } }),
    );
    expect(error.code).toBe("manifest.damaged");
    expect(error.message).toBe("manifest.json with a wrong value at database.tables.0.name");
  });

  test("is refused with a field that nobody knows", () => {
    expect(errorOf(text({ ...sampleManifest(), extra: 1 })).code).toBe("manifest.damaged");
  });

  test("says which rows the plan left to another", () => {
    const { database, ...head } = sampleManifest();
    const left = {
      schema: "public",
      name: "audit_logs",
      plan: "audit-logs",
      tables: [{ schema: "public", name: "audit_2026" }],
    };
    const manifest = { ...head, database: { ...database, leftTo: [left] } };
    expect(parseManifest(formatManifest(manifest))).toEqual(manifest);
    const { plan: _plan, ...nobody } = left;
    const wrong = { ...head, database: { ...database, leftTo: [nobody] } };
    expect(errorOf(text(wrong)).code).toBe("manifest.damaged");
  });

  test("says what a point of some tables was limited to, in a format of its own", () => {
    const { database, ...head } = sampleManifest();
    const [table] = database.tables;
    const limitedTo = { named: [], foreignKeys: [] };
    const exported = {
      format: "csv",
      path: "exports/p/t.csv",
      sizeBytes: 1,
      sha256: "0".repeat(64),
    };
    const limited = {
      ...head,
      format: "sparekeep.manifest/2",
      database: { ...database, limitedTo, tables: [{ ...table, exports: [exported] }] },
    };
    expect(parseManifest(text(limited))).toEqual(limited);
    // Neither is taken for the other.
    for (const wrong of [
      { ...limited, format: "sparekeep.manifest/1" },
      { ...limited, database },
      { ...head, database: { ...database, limitedTo } },
      { ...head, database: { ...database, tables: [{ ...table, exports: [exported] }] } },
    ]) {
      expect(errorOf(text(wrong)).code).toBe("manifest.damaged");
    }
  });

  test("is refused when its format is another one", () => {
    const error = errorOf(text({ ...sampleManifest(), format: "sparekeep.manifest/3" }));
    expect(error.code).toBe("manifest.unsupported");
  });

  test.for(["", "{", "null", "[]", "\u{FEFF}{}"])("refuses %j", (input) => {
    expect(errorOf(Buffer.from(input)).code).toBe("manifest.damaged");
  });

  test("gives only its own error on garbage", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((json) => Buffer.from(json)),
        ),
        (bytes) => {
          expect(errorOf(bytes).code).toMatch(/^manifest\.(damaged|unsupported)$/);
        },
      ),
    );
  });

  test("gives only its own error when one byte is changed", () => {
    const good = formatManifest(sampleManifest());
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), (at, value) => {
        const bytes = Uint8Array.from(good);
        bytes[at] = value;
        expect(outcomeOf(bytes)).toMatch(/^(read|manifest\.damaged|manifest\.unsupported)$/);
      }),
    );
  });

  test("gives only its own error when one value is another, however deep, large or hostile", () => {
    const paths = pathsOf(JSON.parse(Buffer.from(formatManifest(sampleManifest())).toString()));
    const deep = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;
    const values = fc.oneof(
      fc.json(),
      fc.constantFrom(
        "1e999",
        "-1",
        `"${"x".repeat(100_000)}"`,
        deep,
        '{"__proto__":{"a":1}}',
        "[[]]",
      ),
    );
    fc.assert(
      fc.property(fc.constantFrom(...paths), values, (path, value) => {
        const manifest: unknown = JSON.parse(
          Buffer.from(formatManifest(sampleManifest())).toString(),
        );
        const text = JSON.stringify(replaced(manifest, path)).replace(
          String.raw`"\u0001"`,
          () => value,
        );
        expect(outcomeOf(Buffer.from(text))).toMatch(
          /^(read|manifest\.damaged|manifest\.unsupported)$/,
        );
      }),
    );
  });
});

function outcomeOf(bytes: Uint8Array): string {
  try {
    parseManifest(bytes);
    return "read";
  } catch (error) {
    return error instanceof AppError ? error.code : String(error);
  }
}

function pathsOf(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== "object" || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, inner]) => pathsOf(inner, [...path, key]))];
}

/** The same with a mark in the place of what lies at the path. */
function replaced(value: unknown, [key, ...rest]: readonly string[]): unknown {
  if (key === undefined) return "\u0001";
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([name, inner]): [string, unknown] => [
    name,
    name === key ? replaced(inner, rest) : inner,
  ]);
  return Array.isArray(value) ? entries.map(([, inner]) => inner) : Object.fromEntries(entries);
}
