import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { judgePassword, WEAK_BITS } from "./strength.ts";

const NAMES = ["db-1", "ann", "spare-shop"];

const weak: readonly (readonly [string, RegExp])[] = [
  ["", /of 0 characters, fewer than 12/],
  ["x#9Kq!7Zp2w", /of 11 characters, fewer than 12/],
  ["aaaaaaaaaaaaaaaaaaaaaaaa", /a repetition/],
  ["hunter2hunter2hunter2", /a repetition/],
  ["abcdefghijklmnop", /characters in their order/],
  ["9876543210987654", /characters in their order/],
  ["acegikmoqsuwy24680", /characters in their order/],
  ["aAbBcCdDeEfFgGhHiIjJkK", /characters in their order/],
  ["1a2b3c4d5e6f7g8h9i", /characters in their order/],
  ["1!2@3#4$5%6^7&8*9(0)", /characters in their order/],
  ["qpwoeirutyalskdjfh", /characters in their order/],
  ["qwertyuiopasdfghjkl", /neighbours on the keyboard/],
  ["1qaz2wsx3edc4rfv", /neighbours on the keyboard/],
  ["Password12345!!", /a common word/],
  ["P4$$w0rd-5uperm4n", /a common word/],
  ["correct horse battery staple", /a common word/],
  ["spare-shop db-1 2026", /a name of this machine, user or policy/],
  ["sp4re-sh0p-ann-db-1", /a name of this machine, user or policy/],
  ["27.04.1983 Anna Meier", /a year or a date/],
  ["Tr0ub4dor&3xyz", /too little that is random/],
  ["grumpy violin satchel orbit", /too little that is random/],
  ["\u{1F511}\u{1F511}\u{1F511}\u{1F511}\u{1F511}\u{1F511}\u{1F511}", /fewer than 12/],
];

const strong: readonly string[] = [
  "3vT0yQ1nq8oPZrJm2kX7wLd5sHc9fBgA4uEiRtYe6hU",
  "mK8#vQ2x!pL9z",
  "unaided clock ruffian stanza wobble kelp",
  "qzxvkwpmrtyhbnfdsjgl",
  "8241 9930 1757 6602 4418 0093 5521",
];

describe("a password", () => {
  test.for(weak)("%j is refused with its reason", ([password, reason]) => {
    expect(judgePassword(password, NAMES).weakness).toMatch(reason);
  });

  test.for(strong)("%j is good enough", (password) => {
    expect(judgePassword(password, NAMES).weakness).toBeUndefined();
  });

  test("of 32 random bytes always is, whatever the names", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.array(fc.string({ maxLength: 20 }), { maxLength: 4 }),
        (bytes, names) => {
          // Bytes that no random source gives are fast-check's favourites.
          fc.pre(new Set(bytes).size > 24);
          const password = Buffer.from(bytes).toString("base64url");
          expect(judgePassword(password, names).weakness).toBeUndefined();
        },
      ),
    );
  });

  test("is judged whatever it holds, never beyond what its characters allow", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ maxLength: 400 }), fc.string({ unit: "binary", maxLength: 60 })),
        fc.array(fc.string()),
        (password, names) => {
          const { bits, weakness } = judgePassword(password, names);
          expect(bits).toBeGreaterThanOrEqual(0);
          // A pattern's place counts as well as the pattern: hence the slack.
          expect(bits).toBeLessThanOrEqual(password.length * Math.log2(72) + 24);
          const poor = Array.from(password).length < 12 || bits < WEAK_BITS - 1;
          expect(poor && weakness === undefined).toBe(false);
        },
      ),
    );
  });

  test("said once more is hardly harder to guess", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 4, maxLength: 30 }), (password) => {
        const once = judgePassword(password, []).bits;
        expect(judgePassword(password.repeat(3), []).bits).toBeLessThanOrEqual(once + 12);
      }),
    );
  });

  test("never stands in the reason", () => {
    const password = "zanzibar-2026";
    expect(judgePassword(password, []).weakness).not.toContain("zanzibar");
  });
});
