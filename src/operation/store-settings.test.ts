import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Secret } from "../kernel/index.ts";
import { codeOf, createTemporaryFolder } from "../objectstore/testing/index.ts";
import { storeSettings } from "./store-settings.ts";
import { testContext } from "./testing/context.ts";

const password = { env: "UNUSED" };

test("only what the policy says reaches a store, secrets resolved", async () => {
  await using folder = await createTemporaryFolder();
  const ca = join(folder.path, "ca.pem");
  await writeFile(ca, "-----BEGIN CERTIFICATE-----\n");
  const base = testContext({ stateDirectory: folder.path });
  const context = { ...base, env: (name: string) => ({ ID: "id", KEY: "key" })[name] };
  const settings = await storeSettings(context, {
    url: "s3://b/p",
    password,
    region: "af-south-1",
    encryption: { kms: "k" },
    credentials: { access_key: { env: "ID" }, secret_key: { env: "KEY" } },
    tls: { min: "1.3", ca },
    limits: { upload: 5 },
  });
  const shown = (secret: Secret | undefined): string | undefined => secret?.reveal();
  expect(shown(settings.s3?.credentials?.id)).toBe("id");
  expect(shown(settings.s3?.credentials?.secret)).toBe("key");
  expect({ ...settings, s3: { ...settings.s3, credentials: "seen" } }).toEqual({
    s3: { region: "af-south-1", encryption: { kind: "kms", keyId: "k" }, credentials: "seen" },
    google: {},
    rest: {},
    tls: { minVersion: "1.3", certificateAuthorities: "-----BEGIN CERTIFICATE-----\n" },
    limits: { uploadBytesPerSecond: 5 },
  });
});

test.for([undefined, "no certificate"])(
  "a file of authorities that holds %j is refused",
  async (text) => {
    await using folder = await createTemporaryFolder();
    const ca = join(folder.path, "ca.pem");
    if (text !== undefined) await writeFile(ca, text);
    const code = await codeOf(() =>
      storeSettings(testContext({ stateDirectory: folder.path }), {
        url: "s3://b",
        password,
        tls: { ca },
      }),
    );
    expect(code).toBe("operation.ca_unreadable");
  },
);
