import { describe, expect, test } from "vitest";
import { createVaultDigest, formatVaultFile, parseVaultFile } from "./vault.ts";

const SECRETS = [
  { id: "3f0c8a52-5f3e-4c39-9c5e-0d3f4b8f1a2b", name: "a", description: "", secret: 'x"\n\\' },
  { id: "3f0c8a52-5f3e-4c39-9c5e-0d3f4b8f1a2c", name: null, description: "d", secret: "" },
];

describe("the file of Vault's secrets", () => {
  test("is read as it was written", () => {
    expect(parseVaultFile(formatVaultFile(SECRETS))).toEqual(SECRETS);
  });

  test.for([
    '{"secrets": [{"id": "x", "name": "a", "description": "", "secret": "hush"}]}',
    '{"secrets": [{"name": "a", "description": "", "secret": "hush"}]}',
    '{"secrets": "hush"}',
    '{"secrets": [], "hush": 1}',
    "hush",
    "",
  ])("is refused where it is none, and never repeated: %s", (text) => {
    let thrown: unknown;
    try {
      parseVaultFile(Buffer.from(text));
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: "manifest.damaged" });
    expect(JSON.stringify(thrown) + String(thrown)).not.toContain("hush");
  });
});

test("a digest tells values, secrets and keys apart", () => {
  const of = (key: number, id: string, secret: string) =>
    createVaultDigest(Buffer.alloc(32, key))(id, secret);
  const digests = [of(1, "a", "b"), of(1, "a", "c"), of(1, "b", "b"), of(2, "a", "b")];
  expect(new Set(digests).size).toBe(4);
  expect(of(1, "a", "b")).toBe(digests[0]);
});
