import { createServer } from "node:http";
import { once } from "node:events";
import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import { Secret } from "../kernel/index.ts";
import { codeOf, createGoogleStore, listKeys } from "./testing/index.ts";

const { privateKey } = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
});

test.for([
  "null",
  "[]",
  "{}",
  '{"error":{}}',
  '"text"',
  "<html></html>",
  '{"kind":"storage#objects","items":{}}',
])("the answer %s is no listing", async (listing) => {
  const server = createServer((request, response) => {
    const isToken = request.url === "/token";
    response.writeHead(200, { "content-type": "application/json" });
    response.end(
      isToken ? '{"access_token":"t","expires_in":3600,"token_type":"Bearer"}' : listing,
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const endpoint = `http://127.0.0.1:${port}`;
  try {
    const account = {
      type: "service_account",
      client_email: "a@b.example",
      private_key: privateKey,
      token_uri: `${endpoint}/token`,
    };
    const google = { endpoint, serviceAccount: new Secret(JSON.stringify(account)) };
    const random = (size: number): Uint8Array => new Uint8Array(size);
    const store = createGoogleStore("gs://bucket/shop", { random, settings: { google } });
    expect(await codeOf(() => listKeys(store, ""))).toBe("objectstore.unavailable");
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
