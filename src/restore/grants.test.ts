import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseGrants } from "./grants.ts";
import { quoteIdentifier } from "../postgres/index.ts";

const names = { sourceDatabase: "app", targetDatabase: 'app "two"' };
const parse = (text: string) => parseGrants(text, names);

describe("grants of an archive", () => {
  test("are read as pg_dump writes them", () => {
    const text = `REVOKE ALL ON FUNCTION public.f(a integer, VARIADIC b numeric[]) FROM PUBLIC;
GRANT SELECT("on",name),UPDATE(name) ON TABLE "Odd ""schema"""."to" TO bob WITH GRANT OPTION;
SET SESSION AUTHORIZATION "Bob's";
GRANT SELECT ON TABLE public.parts TO anon;
RESET SESSION AUTHORIZATION;
`;
    expect(parse(text)).toEqual([
      {
        sql: "REVOKE ALL ON FUNCTION public.f(a integer, VARIADIC b numeric[]) FROM PUBLIC",
        grantor: undefined,
        system: false,
        defaultsOf: undefined,
        verb: "REVOKE",
        grantees: ["public"],
      },
      {
        sql: 'GRANT SELECT("on",name),UPDATE(name) ON TABLE "Odd ""schema"""."to" TO bob WITH GRANT OPTION',
        grantor: undefined,
        system: false,
        defaultsOf: undefined,
        verb: "GRANT",
        grantees: ["bob"],
      },
      {
        sql: "GRANT SELECT ON TABLE public.parts TO anon",
        grantor: "Bob's",
        system: false,
        defaultsOf: undefined,
        verb: "GRANT",
        grantees: ["anon"],
      },
    ]);
  });

  test("name the database restored into", () => {
    expect(parse("GRANT CONNECT ON DATABASE app TO bob;\n")?.[0]?.sql).toBe(
      'GRANT CONNECT ON DATABASE "app ""two""" TO bob',
    );
    expect(parse("GRANT CONNECT ON DATABASE other TO bob;")).toBeUndefined();
  });

  test("on the system's objects are marked", () => {
    const text = "GRANT ALL ON FUNCTION pg_catalog.pg_read_file(text) TO bob;";
    expect(parse(text)?.[0]?.system).toBe(true);
  });

  test.for([
    ['GRANT SELECT ON TABLE public.t TO a,"B c";', ["a", "B c"]],
    ["GRANT SELECT ON TABLE public.t TO a WITH GRANT OPTION;", ["a"]],
    ["ALTER DEFAULT PRIVILEGES FOR ROLE x IN SCHEMA y GRANT SELECT ON TABLES TO a;", ["a"]],
    ['GRANT SELECT ON TABLE public.t TO "with";', ["with"]],
  ] as const)("name those who get it: %s", ([text, grantees]) => {
    expect(parse(text)?.[0]?.grantees).toEqual(grantees);
  });

  test("name the role whose defaults they change", () => {
    const text =
      "ALTER DEFAULT PRIVILEGES FOR ROLE bob IN SCHEMA public REVOKE ALL ON FUNCTIONS FROM PUBLIC;";
    expect(parse(text)?.[0]?.defaultsOf).toBe("bob");
  });

  test.for([
    "GRANT pg_execute_server_program TO bob;",
    "GRANT pg_execute_server_program, public TO bob;",
    "GRANT SELECT, pg_read_server_files ON TABLE t TO bob;",
    "GRANT SELECT ON t TO bob;",
    "GRANT SET ON PARAMETER session_preload_libraries TO bob;",
    "ALTER ROLE bob SUPERUSER;",
    "SELECT evil();",
    "GRANT SELECT ON TABLE t TO bob; SELECT evil();",
    "GRANT SELECT ON TABLE t TO bob -- x\n;",
    "GRANT SELECT ON TABLE t TO bob /* ; */;",
    "GRANT SELECT ON TABLE t TO 'bob';",
    "GRANT SELECT ON TABLE t TO $$bob$$;",
    'GRANT SELECT ON TABLE U&"t" TO bob;',
    "GRANT SELECT ON TABLE t TO bob \\! touch x",
    "GRANT SELECT ON TABLE t",
    "SET SESSION AUTHORIZATION postgres; GRANT SELECT ON TABLE t TO bob;",
    "SET SESSION AUTHORIZATION DEFAULT; COPY t TO PROGRAM 'x'; RESET SESSION AUTHORIZATION;",
    "ALTER DEFAULT PRIVILEGES FOR ROLE bob GRANT admin TO bob;",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO bob;",
  ])("outside the grammar are not understood: %s", (text) => {
    expect(parse(text)).toBeUndefined();
  });

  test("take any name in quotes for nothing else than a name", () => {
    const name = fc.string({ unit: "binary", minLength: 1 }).filter((text) => !text.includes("\0"));
    fc.assert(
      fc.property(name, name, name, (schema, table, role) => {
        const text = `GRANT SELECT ON TABLE ${quoteIdentifier(schema)}.${quoteIdentifier(table)} TO ${quoteIdentifier(role)};\n`;
        expect(parse(text)).toEqual([
          {
            sql: text.slice(0, -2),
            grantor: undefined,
            system: ["pg_catalog", "information_schema", "pg_toast"].includes(schema),
            defaultsOf: undefined,
            verb: "GRANT",
            grantees: [role],
          },
        ]);
      }),
    );
  });
});
