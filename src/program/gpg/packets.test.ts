import fc from "fast-check";
import { expect, test } from "vitest";
import { AppError } from "../../kernel/index.ts";
import { parseMessageHead } from "./packets.ts";

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");
/** Old format, tag 1, version 3, a key id, algorithm 18, and a byte of it. */
const KEY = "84 0b 03 0c67fb0243be1a5e 12 00";
const PASSPHRASE = "8c 04 04 09 00 08";
const MDC = "d2 c0 70 01 aabbcc";

test.for([
  ["one key", KEY + MDC, { keyIds: ["0C67FB0243BE1A5E"], passphrases: 0, integrity: "mdc" }],
  [
    "two keys",
    KEY + KEY + MDC,
    { keyIds: ["0C67FB0243BE1A5E", "0C67FB0243BE1A5E"], passphrases: 0, integrity: "mdc" },
  ],
  ["a passphrase", PASSPHRASE + MDC, { keyIds: [], passphrases: 1, integrity: "mdc" }],
  [
    "version 2 of the content",
    `${KEY} d2 10 02 09`,
    { keyIds: ["0C67FB0243BE1A5E"], passphrases: 0, integrity: "aead" },
  ],
  [
    "GnuPG's own authenticated content",
    `${KEY} d4 10 01 09`,
    { keyIds: ["0C67FB0243BE1A5E"], passphrases: 0, integrity: "aead" },
  ],
] as const)("%s", ([, text, head]) => {
  expect(parseMessageHead(hex(text))).toEqual(head);
});

test.for([
  ["without integrity protection", `${KEY} c9 10 00`],
  ["with another packet in front", "cb 03 62 00 00"],
  ["of a version that is not known", `${KEY} d2 10 03`],
  ["with a key packet that is not known", "84 0b 06 0c67fb0243be1a5e 12 00"],
  ["that ends in its keys", "84 0b 03 0c67"],
  ["that is text", Buffer.from("hello").toString("hex")],
  ["that is empty", ""],
] as const)("a message %s is refused", ([, text]) => {
  const code = (): unknown => {
    try {
      return parseMessageHead(hex(text));
    } catch (thrown) {
      return thrown instanceof AppError ? thrown.code : thrown;
    }
  };
  expect(code()).toBe("program.message_invalid");
});

test("garbage never does anything but be refused", () => {
  const holds = fc.check(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      try {
        parseMessageHead(bytes);
        return true;
      } catch (thrown) {
        return thrown instanceof AppError;
      }
    }),
  );
  expect(holds.failed).toBe(false);
});
