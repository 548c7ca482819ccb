import {
  generateHybridIdentity,
  generateX25519Identity,
  identityToRecipient,
} from "age-encryption";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AppError } from "../kernel/index.ts";
import { parsePolicy } from "./parse.ts";
import { recipientProblem } from "./recipient.ts";

const GOOD = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

describe("a recipient", () => {
  test("that age makes is one", async () => {
    expect(recipientProblem(GOOD)).toBeUndefined();
    for (const generate of [generateX25519Identity, generateHybridIdentity]) {
      const recipient = await identityToRecipient(await generate());
      expect(recipientProblem(recipient)).toBeUndefined();
    }
  });

  test("with one character changed, lost or added is none", () => {
    const sign = fc.constantFrom(..."qpzry9x8gf2tvdw0s3jn54khce6mua7lbio1AZ ".split(""));
    fc.assert(
      fc.property(fc.nat(GOOD.length - 1), sign, (at, other) => {
        fc.pre(GOOD[at] !== other);
        const changed = GOOD.slice(0, at) + other + GOOD.slice(at + 1);
        expect(recipientProblem(changed)).toBeDefined();
        expect(recipientProblem(GOOD.slice(0, at) + GOOD.slice(at + 1))).toBeDefined();
        expect(recipientProblem(`${GOOD.slice(0, at)}${other}${GOOD.slice(at)}`)).toBeDefined();
      }),
    );
  });

  test.for([
    ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample", /an SSH key, which is not supported/],
    ["AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX", /a secret key/],
    ["age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", /typing error/],
    ["ann@example.org", /no age recipient/],
    ["", /no age recipient/],
    [7, /no age recipient/],
  ] as const)("%j is none, in words", ([value, message]) => {
    expect(recipientProblem(value)?.message).toMatch(message);
  });
});

describe("owners in a policy", () => {
  const policy = (owners: string): string => `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: DB } } }
destinations:
  local:
    url: ./repo
    password: { file: ./key }
    owners: ${owners}
plans: { full: { source: db, capture: everything, to: local } }
`;
  const parse = (text: string) => parsePolicy({ text, file: "p.yaml", directory: "/x" });
  const messageOf = (text: string): string => {
    try {
      parse(text);
      return "accepted";
    } catch (thrown) {
      if (thrown instanceof AppError) return thrown.message;
      throw thrown;
    }
  };

  test("are read", () => {
    expect(parse(policy(`[${GOOD}]`)).destinations["local"]?.owners).toEqual([GOOD]);
  });

  test("that are none are refused at their place", () => {
    const wrong = `${GOOD.slice(0, -1)}q`;
    expect(messageOf(policy(`[${GOOD}, ${wrong}]`))).toContain(
      "p.yaml:8:78: destinations.local.owners.1: an age recipient with a typing error in it",
    );
    expect(messageOf(policy(`[${GOOD}, ${GOOD}]`))).toContain("an owner who stands twice");
    expect(messageOf(policy("[]"))).toContain("owners is empty");
  });

  test("a secret key among them is never repeated", () => {
    const secret = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
    const message = messageOf(policy(`[${secret}]`));
    expect(message).toContain("a secret key where a public one belongs");
    expect(message).not.toContain("GFPYYS");
  });
});
