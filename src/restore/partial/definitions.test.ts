import { describe, expect, test } from "vitest";
import { readConstraint } from "./definitions.ts";

const at = (schema: string, name: string): unknown => ({ schema, name });

describe("a constraint of the archive", () => {
  test.for<readonly [text: string, read: unknown]>([
    [
      'ALTER TABLE ONLY public.orders\n    ADD CONSTRAINT orders_pkey PRIMARY KEY (id, "Odd ""one""");\n',
      { table: at("public", "orders"), primary: true, columns: ["id", 'Odd "one"'] },
    ],
    [
      "ALTER TABLE ONLY public.o\n    ADD CONSTRAINT u UNIQUE NULLS NOT DISTINCT (a) WITH (fillfactor='70', deduplicate_items='off') DEFERRABLE;\n",
      { table: at("public", "o"), primary: false, columns: ["a"] },
    ],
    [
      'ALTER TABLE ONLY "a.b"."T;--"\n    ADD CONSTRAINT "f\'k" FOREIGN KEY (a, b) REFERENCES public.p(c, d) MATCH FULL ON DELETE CASCADE NOT VALID;\n',
      {
        name: "f'k",
        child: at("a.b", "T;--"),
        parent: at("public", "p"),
        columns: ["a", "b"],
        parentColumns: ["c", "d"],
        matchFull: true,
      },
    ],
  ])("%s", ([text, read]) => {
    expect(readConstraint(text)).toEqual(read);
  });

  test.for([
    "ALTER TABLE ONLY public.o ADD CONSTRAINT e EXCLUDE USING gist (a WITH &&);",
    "ALTER TABLE ONLY public.o ADD CONSTRAINT c CHECK ((a > 0));",
    "ALTER TABLE ONLY public.o ADD CONSTRAINT p PRIMARY KEY (lower(a));",
    "ALTER TABLE ONLY public.o ADD CONSTRAINT f FOREIGN KEY (a, b) REFERENCES public.p(c);",
    "CREATE TABLE public.o (a int PRIMARY KEY);",
    "ALTER TABLE ONLY public.o ADD CONSTRAINT p PRIMARY KEY (a /* b */);",
    "",
  ])("that it does not take is none: %j", (text) => {
    expect(readConstraint(text)).toBeUndefined();
  });
});
