import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  composeActing,
  composeComment,
  composeEventTrigger,
  composePublication,
  composePublicationMember,
  mappingOf,
} from "./compose.ts";
import { lexStatements, render } from "./lex.ts";
import { hideTexts, shownStatements } from "./show.ts";

const ENTRY = {
  dumpId: 1,
  tag: "it",
  schema: "s",
  section: "pre-data",
  owner: "app",
  tablespace: undefined,
  accessMethod: undefined,
  catalogOid: 0,
  oid: 0,
  dependencies: [],
} as const;

describe("an event trigger", () => {
  test("is made anew, with its tags and its state", () => {
    const text = `CREATE EVENT TRIGGER "a ""b""" ON ddl_command_end
         WHEN TAG IN ('CREATE TABLE', 'it''s')
   EXECUTE FUNCTION "My".on_ddl();

ALTER EVENT TRIGGER "a ""b""" ENABLE ALWAYS;
`;
    expect(composeEventTrigger(text)).toEqual([
      `CREATE EVENT TRIGGER "a ""b""" ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'it''s') EXECUTE FUNCTION "My"."on_ddl"()`,
      `ALTER EVENT TRIGGER "a ""b""" ENABLE ALWAYS`,
    ]);
  });

  test.for([
    "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION s.f(); DROP TABLE t;",
    "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION s.f(); ALTER EVENT TRIGGER other DISABLE;",
    "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION s.f(); ALTER EVENT TRIGGER e OWNER TO x;",
    "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f();",
    "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION s.f('x');",
    "CREATE EVENT TRIGGER e ON ddl_command_end WHEN TAG IN (f()) EXECUTE FUNCTION s.f();",
    "CREATE EVENT TRIGGER e ON anything EXECUTE FUNCTION s.f();",
    "CREATE EVENT TRIGGER e ON ddl_command_end -- \n EXECUTE FUNCTION s.f();",
    "DO $$ BEGIN END $$",
    "",
  ])("is not made of %s", (text) => {
    expect(composeEventTrigger(text)).toBeUndefined();
  });
});

describe("a publication", () => {
  test("is made anew", () => {
    expect(
      composePublication(
        "CREATE PUBLICATION p FOR ALL TABLES WITH (publish = 'insert, update', publish_via_partition_root = true);\n",
      ),
    ).toBe(
      `CREATE PUBLICATION "p" FOR ALL TABLES WITH (publish = 'insert, update', publish_via_partition_root = true)`,
    );
    expect(
      composePublicationMember(
        `ALTER PUBLICATION p ADD TABLE ONLY s."T t" (a, "b c") WHERE (((a > 5) AND (b <> E'x\\\\''y'::text)));\n`,
      ),
    ).toBe(
      String.raw`ALTER PUBLICATION "p" ADD TABLE ONLY "s"."T t" ("a", "b c") WHERE ( ( ( a > 5 ) AND ( b <> E'x\\''y' :: text ) ) )`,
    );
    expect(composePublicationMember('ALTER PUBLICATION "P" ADD TABLES IN SCHEMA s;')).toBe(
      'ALTER PUBLICATION "P" ADD TABLES IN SCHEMA "s"',
    );
  });

  test.for([
    "CREATE PUBLICATION p; DROP TABLE t",
    "CREATE PUBLICATION p WITH (publish = (SELECT f()));",
    "CREATE PUBLICATION p WITH (other = 'x');",
    "CREATE PUBLICATION p FOR TABLE t WHERE (f(a));",
    "ALTER PUBLICATION p ADD TABLE ONLY t;",
    "ALTER PUBLICATION p ADD TABLE ONLY s.t WHERE (a), TABLE s.u;",
    "ALTER PUBLICATION p ADD TABLE ONLY s.t WHERE (a)) ; (",
    "ALTER PUBLICATION p ADD TABLE ONLY s.t WHERE /* */ (a);",
    "ALTER PUBLICATION p OWNER TO x;",
  ])("is not made of %s", (text) => {
    expect(composePublication(text)).toBeUndefined();
    expect(composePublicationMember(text)).toBeUndefined();
  });
});

describe("what acts on writes", () => {
  test("is one statement of its kind, and its state", () => {
    expect(
      composeActing(
        "TRIGGER",
        `CREATE TRIGGER t AFTER INSERT ON s.o FOR EACH ROW WHEN ((new.a > 1)) EXECUTE FUNCTION s.f('{"k": "v"}', 'POST');\n\nALTER TABLE s.o ENABLE ALWAYS TRIGGER t;\n`,
      ),
    ).toEqual([
      `CREATE TRIGGER t AFTER INSERT ON s . o FOR EACH ROW WHEN ( ( new . a > 1 ) ) EXECUTE FUNCTION s . f ( '{"k": "v"}' , 'POST' )`,
      `ALTER TABLE "s"."o" ENABLE ALWAYS TRIGGER "t"`,
    ]);
    expect(
      composeActing("RULE", "CREATE RULE r AS ON INSERT TO s.t DO (SELECT f(); SELECT g());"),
    ).toHaveLength(1);
  });

  test.for([
    ["TRIGGER", "CREATE TRIGGER t BEFORE INSERT ON s.t EXECUTE FUNCTION s.f(); DROP TABLE s.t;"],
    [
      "TRIGGER",
      "CREATE TRIGGER t BEFORE INSERT ON s.t EXECUTE FUNCTION s.f(); ALTER TABLE s.t ALTER a TYPE int USING s.f(a);",
    ],
    ["TRIGGER", "CREATE TABLE s.t (a int);"],
    ["RULE", "CREATE TRIGGER t BEFORE INSERT ON s.t EXECUTE FUNCTION s.f();"],
    ["RULE", "CREATE RULE r AS ON INSERT TO s.t DO SELECT 1); DROP TABLE x; SELECT (1;"],
    ["USER MAPPING", "CREATE USER MAPPING FOR a SERVER s OPTIONS (password $$x$$);"],
    ["VIEW", "CREATE VIEW s.v AS SELECT 1;"],
  ] as const)("is not made of a %s that is %s", ([kind, text]) => {
    expect(composeActing(kind, text)).toBeUndefined();
  });
});

test("a comment is one, and nothing else", () => {
  expect(composeComment("COMMENT ON TRIGGER t ON s.o IS 'tells; the first';")).toBe(
    "COMMENT ON TRIGGER t ON s . o IS 'tells; the first'",
  );
  expect(composeComment("COMMENT ON TRIGGER t ON s.o IS 'x'; DROP TABLE t;")).toBeUndefined();
  expect(composeComment("DROP TABLE t IS 'x'")).toBeUndefined();
});

test("a user mapping says whose it is, whatever its options hold", () => {
  const of = (text: string) => mappingOf(text);
  expect(of(`CREATE USER MAPPING FOR "A b" SERVER far OPTIONS ("user" 'x\\', p 'it''s');`)).toEqual(
    { user: "A b", server: "far" },
  );
  expect(of("CREATE USER MAPPING FOR PUBLIC SERVER far;")).toEqual({
    user: undefined,
    server: "far",
  });
});

test("what stands in quotes is not shown", () => {
  const sql = `CREATE USER MAPPING FOR a SERVER s OPTIONS (password 'sec''ret', "user" 'u')`;
  expect(hideTexts(sql)).toBe(
    `CREATE USER MAPPING FOR a SERVER s OPTIONS (password '…', "user" '…')`,
  );
  const of = (kind: string, definition: string) =>
    shownStatements([{ ...ENTRY, kind, definition }]);
  expect(of("FUNCTION", "CREATE FUNCTION f(a text DEFAULT 'secret') AS $a$ secret $a$;")).toEqual([
    "CREATE FUNCTION f(a text DEFAULT …",
  ]);
  expect(of("VIEW", "CREATE VIEW v AS\n SELECT $a$secret$a$;\n")).toEqual([
    "CREATE VIEW v AS SELECT …",
  ]);
  expect(
    of("TRIGGER", "CREATE TRIGGER t AFTER INSERT ON s.o EXECUTE FUNCTION f('secret');"),
  ).toEqual(["CREATE TRIGGER t AFTER INSERT ON s . o EXECUTE FUNCTION f ( '…' )"]);
  expect(hideTexts(String.raw`f(E'a\\''secret')`)).toBe("f(E'…')");
});

describe("the tokens of a definition", () => {
  test("read again are the same, whatever the names and texts", () => {
    const lexeme = fc.oneof(
      fc.record({ kind: fc.constant("name" as const), value: fc.string({ minLength: 1 }) }),
      fc.record({ kind: fc.constant("string" as const), value: fc.string() }),
      fc.record({ kind: fc.constant("word" as const), value: fc.constantFrom("SELECT", "e", "t") }),
      fc.record({ kind: fc.constant("symbol" as const), value: fc.constantFrom(",", "::", "<>") }),
    );
    fc.assert(
      fc.property(fc.array(lexeme, { minLength: 1 }), (lexemes) => {
        expect(lexStatements(render(lexemes))).toEqual([lexemes]);
      }),
    );
  });

  test("are understood or refused, and never crash", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const statements = lexStatements(text);
        expect(statements === undefined || Array.isArray(statements)).toBe(true);
      }),
    );
  });

  test.for([
    `U&"d\\0061t"`,
    `U&'x'`,
    "B'1'",
    'a"b"',
    "x'1'",
    "E'\\x'",
    "/* x */",
    "- -- x\n",
    "$$x$$",
  ])("are refused where they could be read otherwise: %s", (text) => {
    expect(lexStatements(text)).toBeUndefined();
  });
});
