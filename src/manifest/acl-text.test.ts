import { describe, expect, test } from "vitest";
import { parseAcl } from "./acl-text.ts";

describe("access rights as text", () => {
  test("are read as PostgreSQL prints them", () => {
    expect(parseAcl(String.raw`{alice=rw/alice,=r/alice,"\"odd \"\"n,ame\"=r*/alice"}`)).toEqual([
      {
        grantee: "alice",
        privileges: [
          { letter: "r", grantable: false },
          { letter: "w", grantable: false },
        ],
        grantor: "alice",
      },
      { grantee: "", privileges: [{ letter: "r", grantable: false }], grantor: "alice" },
      {
        grantee: 'odd "n,ame',
        privileges: [{ letter: "r", grantable: true }],
        grantor: "alice",
      },
    ]);
    expect(parseAcl("{}")).toEqual([]);
  });

  test.for(["", "alice=r/alice", "{alice}", "{alice=r/a", '{"alice=r/a}'])("refuse %j", (text) => {
    expect(() => parseAcl(text)).toThrow(expect.objectContaining({ code: "manifest.damaged" }));
  });
});
