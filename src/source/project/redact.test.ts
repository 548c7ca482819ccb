import { assert, jsonValue, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { placeFile } from "./function-path.ts";
import { formatDocument, redactDocument } from "./redact.ts";
import { createSeal } from "./seal.ts";

const seal = createSeal(new Uint8Array(32).fill(7));

function redact(document: string, value: unknown) {
  return redactDocument(document, value, seal);
}

describe("a seal", () => {
  test("is the same for the same secret under the same name, and another otherwise", () => {
    expect(seal("a", "secret")).toEqual(seal("a", "secret"));
    expect(seal("a", "secret")).not.toEqual(seal("b", "secret"));
    expect(seal("a", "secret")).not.toEqual(seal("a", "other"));
    expect(seal("ab", "c")).not.toEqual(seal("a", "bc"));
    expect(createSeal(new Uint8Array(32))("a", "secret")).not.toEqual(seal("a", "secret"));
  });
});

describe("what is kept in clear", () => {
  test.for([
    ["auth", { smtp_pass: "x" }, ["smtp_pass"]],
    ["auth", { smtp_pass: "", smtp_user: "x", jwt_exp: 60, password_hibp_enabled: true }, []],
    [
      "auth",
      { sms_twilio_auth_token: "x", sms_test_otp: "1=2" },
      ["sms_test_otp", "sms_twilio_auth_token"],
    ],
    ["auth", { mailer_templates_password_changed_notification_content: "<p>" }, []],
    ["auth", { hook_custom_access_token_uri: "pg-functions://postgres/public/f" }, []],
    ["auth", { hook_send_sms_uri: "https://u:p@hooks.example/" }, ["hook_send_sms_uri"]],
    ["postgrest", { jwt_secret: "x", db_schema: "public" }, ["jwt_secret"]],
    [
      "auth-third-party",
      [{ custom_jwks: { keys: [{ kty: "oct", k: "x" }] } }],
      ["0.custom_jwks.keys.0.k"],
    ],
    [
      "auth-signing-keys",
      [{ public_jwk: { kty: "EC", x: "1", y: "2", d: "x" } }],
      ["0.public_jwk.d"],
    ],
    ["storage", { features: { s3: { access_key: "x" } } }, ["features.s3.access_key"]],
  ] as const)("of %s %o", ([document, value, wanted]) => {
    const { value: kept, sealed } = redact(document, value);
    expect(sealed.map(({ key }) => key)).toEqual(wanted);
    const shown = wanted.length === 0 ? "" : formatDocument(kept);
    expect(shown).not.toMatch(/: "x"|u:p@|1=2/);
  });

  test("of auth is no text whose key is new", () => {
    expect(redact("auth", { external_new_thing: "x" }).sealed).toEqual([
      { key: "external_new_thing", why: "unknown" },
    ]);
  });

  test("has one form, whatever the order of its keys", () => {
    const one = formatDocument(redact("realtime", { b: 1, a: { d: 1, c: 2 } }).value);
    expect(formatDocument(redact("realtime", { a: { c: 2, d: 1 }, b: 1 }).value)).toBe(one);
  });

  test("of any JSON stays JSON", () => {
    assert(
      property(jsonValue({ maxDepth: 6 }), (drawn) => {
        // As a parser gives it: a minus zero is none any more once it was written.
        const value: unknown = JSON.parse(JSON.stringify(drawn));
        const { value: kept } = redact("realtime", value);
        expect(JSON.parse(formatDocument(kept))).toEqual(kept);
      }),
    );
  });
});

test.for([
  ["index.ts", "index.ts"],
  ["source/index.ts", "source/index.ts"],
  ["../../../etc/passwd", "__up__/__up__/__up__/etc/passwd"],
  ["/etc/passwd", "etc/passwd"],
  ["file:///tmp/x/./index.ts", "tmp/x/index.ts"],
  ["a//b/../c.ts", "a/b/__up__/c.ts"],
  ["..", "__up__"],
  ["", "_"],
  ["a\0b", "a_b"],
  ["taken", "taken~2"],
  ["taken/below", "taken~2/below"],
] as const)("the deployed file %o lies at %s", ([deployed, wanted]) => {
  expect(placeFile(deployed, new Set(["taken"])).join("/")).toBe(wanted);
});
