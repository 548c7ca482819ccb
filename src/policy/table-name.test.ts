import fc from "fast-check";
import { expect, test } from "vitest";
import { parseTableName, tableNameText } from "./table-name.ts";

test.for([
  ["orders", "public", "orders"],
  ["sales.orders", "sales", "orders"],
  ["Sales.Order Lines", "Sales", "Order Lines"],
  ['"a.b".c', "a.b", "c"],
  ['"say ""hi"""', "public", 'say "hi"'],
  ['s."x.y"', "s", "x.y"],
])("%s", ([text, schema, name]) => {
  expect(parseTableName(text ?? "")).toEqual({ schema, name });
});

test.for(["", ".", "a.", ".a", "a.b.c", '"a', 'a"b', '""', '"a"b', "a\0", "a.b."])(
  "not %j",
  (text) => {
    expect(parseTableName(text)).toBeUndefined();
  },
);

test("what is printed is read as the same table", () => {
  const part = fc.string({ minLength: 1, unit: fc.constantFrom("a", "B", ".", '"', " ", "é") });
  fc.assert(
    fc.property(part, part, (schema, name) => {
      expect(parseTableName(tableNameText({ schema, name }))).toEqual({ schema, name });
    }),
  );
});
