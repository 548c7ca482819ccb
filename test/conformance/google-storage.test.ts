import { generateKeyPairSync, randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Secret, systemClock, toAppError } from "../../src/kernel/index.ts";
import { openObjectStore } from "../../src/objectstore/index.ts";
import type { ObjectStore } from "../../src/objectstore/index.ts";
import {
  codeOf,
  createGoogleStore,
  createTemporaryFolder,
  describeObjectStore,
  listKeys,
  patternBytes,
} from "../../src/objectstore/testing/index.ts";
import type { TemporaryFolder } from "../../src/objectstore/testing/index.ts";
import { startBrokenProxy } from "../support/broken-proxy.ts";
import type { WireFault } from "../support/broken-proxy.ts";
import { createCertificates } from "../support/certificates.ts";
import type { Certificates } from "../support/certificates.ts";
import { SUBJECT_TOKEN } from "../support/google-token-endpoint.ts";
import { startGoogleStorage } from "../support/google-storage.ts";
import type { GoogleStorage } from "../support/google-storage.ts";
import { backUp, createOurs, expectedFiles, openOurs } from "../support/restic-repository.ts";
import { entriesOf } from "../support/restic-files.ts";

/** Over a stand-in written from Google's description: nothing here was shown at Google. docs/spec/objectstore.md */

const bucket = "shop-backup";
let folder: TemporaryFolder;
let certificates: Certificates;
beforeAll(async () => {
  folder = await createTemporaryFolder();
  certificates = await createCertificates(folder.path, ["DNS:localhost", "IP:127.0.0.1"]);
});
afterAll(() => folder[Symbol.asyncDispose]());

interface Settings {
  readonly endpoint?: string;
  readonly serviceAccount?: string;
  readonly storageClass?: string;
  readonly ca?: string;
  readonly minTls?: "1.3";
}

function storeAt(
  google: GoogleStorage,
  settings: Settings = {},
  location = `gs://${bucket}/folder`,
): ObjectStore {
  const {
    endpoint = google.endpoint,
    serviceAccount = google.serviceAccount,
    storageClass,
    ca,
    minTls,
  } = settings;
  return createGoogleStore(location, {
    random: (size) => randomBytes(size),
    settings: {
      google: {
        endpoint,
        serviceAccount: new Secret(serviceAccount),
        ...(storageClass === undefined ? {} : { storageClass }),
      },
      ...(ca === undefined
        ? {}
        : {
            tls: {
              certificateAuthorities: ca,
              ...(minTls === undefined ? {} : { minVersion: minTls }),
            },
          }),
    },
  });
}

for (const [name, location] of [
  ["gs: in a folder", `gs://${bucket}/deep/er`],
  ["gs: at the root of the bucket", `gs://${bucket}`],
] as const) {
  describeObjectStore(name, async () => {
    const google = await startGoogleStorage({ bucket, pageSize: 3 });
    return {
      store: storeAt(google, {}, location),
      [Symbol.asyncDispose]: () => google[Symbol.asyncDispose](),
    };
  });
}

describe("a gs: store", () => {
  test("holds a repository over TLS, as it was negotiated, with one token for all", async () => {
    await using google = await startGoogleStorage({ bucket, certificates });
    const store = storeAt(google, { ca: certificates.authority, storageClass: "NEARLINE" });
    const files = [{ path: ["large"], content: patternBytes(20_000_000, 3) }];
    await backUp(await createOurs(store), files);
    const again = await openOurs(store);
    expect((await again.check({ readData: true })).findings).toEqual([]);
    const reader = await again.acquireReader();
    const latest = await again.resolveSnapshot("latest");
    expect(await entriesOf(reader, reader.entries(latest))).toEqual(await expectedFiles(files));
    expect(store.connection?.()).toEqual({ tls: ["TLSv1.3"], plain: false });
    expect(google.tokens.size).toBe(1);
    expect(store.location).toBe(`gs://${bucket}/folder/`);
    const classes = [...google.objects].map(([name, { storageClass }]) => [
      name.split("/")[1] ?? "",
      storageClass,
    ]);
    expect(Object.fromEntries(classes)).toMatchObject({
      config: "STANDARD",
      index: "STANDARD",
      snapshots: "STANDARD",
    });
  });

  test("puts what is bulk into the class that the policy names, and nothing else", async () => {
    await using google = await startGoogleStorage({ bucket });
    const store = storeAt(google, { storageClass: "COLDLINE" });
    await store.put("data/aa/bulk", [patternBytes(9)], { tier: "bulk", ifAbsent: true });
    await store.put("data/aa/hot", [patternBytes(9)], { ifAbsent: true });
    expect(google.objects.get("folder/data/aa/bulk")?.storageClass).toBe("COLDLINE");
    expect(google.objects.get("folder/data/aa/hot")?.storageClass).toBe("STANDARD");
    const wrong = storeAt(google, { storageClass: "COLD" });
    const put = (): Promise<void> => wrong.put("data/aa/x", [patternBytes(9)], { tier: "bulk" });
    expect(await codeOf(put)).toBe("objectstore.denied");
  });

  test("passes over names that are no keys, and what lies beside its folder", async () => {
    await using google = await startGoogleStorage({ bucket });
    const root = storeAt(google, {}, `gs://${bucket}`);
    await root.put("folder2/a", [patternBytes(1)]);
    await root.put("folder/a", [patternBytes(1)]);
    const objects = google.objects as Map<
      string,
      NonNullable<ReturnType<typeof google.objects.get>>
    >;
    const object = objects.get("folder/a");
    if (object === undefined) throw new Error("it was put");
    for (const name of ["folder/", "folder/a b", "folder/../x", "folder//y"])
      objects.set(name, object);
    expect(await listKeys(storeAt(google), "")).toEqual(["a"]);
  });

  test("says that a bucket is not there, and is never an empty store because of it", async () => {
    await using google = await startGoogleStorage({ bucket });
    const store = storeAt(google, {}, "gs://other-bucket/x");
    expect(await codeOf(() => listKeys(store, ""))).toBe("objectstore.bucket_missing");
    const put = (): Promise<void> => store.put("a", [], { ifAbsent: true });
    expect(await codeOf(put)).toBe("objectstore.bucket_missing");
  });

  test.for([
    "gs://",
    "gs://Bucket",
    "gs://b/x",
    "gs:bucket",
    `gs://${bucket}/a b`,
    `gs://${bucket}/../x`,
  ])("refuses the location %s", async (location) => {
    const context = { clock: systemClock, random: (size: number) => randomBytes(size) };
    expect(await codeOf(() => openObjectStore(location, context))).toBe(
      "objectstore.invalid_location",
    );
  });
});

describe("credentials for Google", () => {
  test("of another key are refused, and nothing of them is said", async () => {
    await using google = await startGoogleStorage({ bucket });
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const account = JSON.parse(google.serviceAccount) as Record<string, unknown>;
    const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    const store = storeAt(google, {
      serviceAccount: JSON.stringify({ ...account, private_key: pem }),
    });
    const thrown = await store.stat("config").catch(toAppError);
    expect(thrown).toMatchObject({
      code: "objectstore.denied",
      message: "credentials for Google that were refused with 400",
    });
    expect(JSON.stringify(thrown)).not.toContain("PRIVATE");
    expect(google.requests.map(({ url }) => url)).toEqual(["/token"]);
  });

  test.for([
    "",
    "no JSON",
    "[]",
    '{"type":"authorized_user","client_email":"a","private_key":"b"}',
  ])("that are %j are none of a service account", async (serviceAccount) => {
    await using google = await startGoogleStorage({ bucket });
    expect(await codeOf(async () => storeAt(google, { serviceAccount }))).toBe(
      "objectstore.invalid_location",
    );
  });

  test("that no key can be read from give no token", async () => {
    await using google = await startGoogleStorage({ bucket });
    const account = JSON.parse(google.serviceAccount) as Record<string, unknown>;
    const store = storeAt(google, {
      serviceAccount: JSON.stringify({ ...account, private_key: "x" }),
    });
    expect(await codeOf(() => store.stat("config"))).toBe("objectstore.denied");
  });

  test("go nowhere but over https or to this machine", async () => {
    await using google = await startGoogleStorage({ bucket });
    const account = JSON.parse(google.serviceAccount) as Record<string, unknown>;
    const elsewhere = JSON.stringify({ ...account, token_uri: "http://tokens.example/" });
    expect(await codeOf(async () => storeAt(google, { serviceAccount: elsewhere }))).toBe(
      "objectstore.invalid_location",
    );
  });

  test("are Google's default ones where the policy names none", async () => {
    await using google = await startGoogleStorage({ bucket });
    await using home = await createTemporaryFolder();
    const [file, subject] = [join(home.path, "adc.json"), join(home.path, "subject")];
    await writeFile(subject, SUBJECT_TOKEN);
    const federated = {
      type: "external_account",
      audience:
        "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/p",
      subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
      token_url: `${google.endpoint}/token`,
      credential_source: { file: subject },
    };
    await writeFile(file, JSON.stringify(federated));
    vi.stubEnv("GOOGLE_APPLICATION_CREDENTIALS", file);
    const store = createGoogleStore(`gs://${bucket}`, {
      random: (size) => randomBytes(size),
      settings: { google: { endpoint: google.endpoint } },
    });
    await store.put("a", [patternBytes(9)], { ifAbsent: true });
    expect(await listKeys(store, "")).toEqual(["a"]);
    vi.unstubAllEnvs();
  });

  test("are sent over no older TLS than the policy allows, and what was spoken is known", async () => {
    await using google = await startGoogleStorage({ bucket, certificates, newestTls: "TLSv1.2" });
    const store = storeAt(google, { ca: certificates.authority });
    expect(await store.stat("config")).toBeUndefined();
    expect(store.connection?.()).toEqual({ tls: ["TLSv1.2"], plain: false });
    const strict = storeAt(google, { ca: certificates.authority, minTls: "1.3" });
    expect(await codeOf(() => strict.stat("config"))).toBe("objectstore.tls_refused");
  });

  test("are not sent to a server that is not trusted", async () => {
    await using google = await startGoogleStorage({ bucket, certificates });
    expect(await codeOf(() => storeAt(google).stat("config"))).toBe("objectstore.tls_refused");
    expect(google.requests).toEqual([]);
  });
});

describe("Google's answers", () => {
  const said = (status: number, reason: string, message = "x"): WireFault => ({
    status,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      error: { code: status, message, errors: [{ reason, message, domain: "global" }] },
    }),
  });
  const FAULTS: readonly [WireFault, string][] = [
    [said(403, "forbidden"), "objectstore.denied"],
    [said(403, "retentionPolicyNotMet"), "objectstore.denied"],
    [said(403, "rateLimitExceeded"), "objectstore.unavailable"],
    [said(403, "quotaExceeded"), "objectstore.full"],
    [said(401, "authError"), "objectstore.denied"],
    [said(400, "invalid"), "objectstore.denied"],
    [said(400, "invalid", "Provided MD5 hash doesn't match"), "objectstore.unavailable"],
    [said(412, "conditionNotMet"), "objectstore.exists"],
    [said(429, "rateLimitExceeded"), "objectstore.unavailable"],
    [said(503, "backendError"), "objectstore.unavailable"],
    [{ status: 502, body: "<html>" }, "objectstore.unavailable"],
    ["reset", "objectstore.unavailable"],
    ["cut", "objectstore.unavailable"],
    ["lose-answer", "objectstore.unavailable"],
    ["fewer-bytes", "objectstore.unavailable"],
    [{ status: 200, body: "{}" }, "objectstore.unavailable"],
  ];
  test.for(FAULTS)("to a write of %j", async ([fault, code]) => {
    await using google = await startGoogleStorage({ bucket });
    await using proxy = await startBrokenProxy(google.endpoint);
    const store = storeAt(google, { endpoint: proxy.url });
    proxy.decide = () => fault;
    expect(await codeOf(() => store.put("a", [patternBytes(99)], { ifAbsent: true }))).toBe(code);
  });

  test.for<[WireFault, string]>([
    ["fewer-bytes", "objectstore.unavailable"],
    ["cut", "objectstore.unavailable"],
    [{ status: 404, body: "No such object" }, "objectstore.not_found"],
    [{ status: 403, body: "denied" }, "objectstore.denied"],
  ])("to a read of %j", async ([fault, code]) => {
    await using google = await startGoogleStorage({ bucket });
    await using proxy = await startBrokenProxy(google.endpoint);
    const store = storeAt(google, { endpoint: proxy.url });
    await store.put("a", [patternBytes(99)]);
    proxy.decide = () => fault;
    expect(await codeOf(() => store.get("a"))).toBe(code);
  });

  test.for<[string, WireFault]>([
    ["cut", "cut"],
    ["shorter", "fewer-bytes"],
    ["without its items", { status: 200, body: '{"items":{}}' }],
    ["of items that are none", { status: 200, body: '{"items":[{"name":"folder/a"}]}' }],
    ["whose next page is itself", { status: 200, body: '{"nextPageToken":"x"}' }],
    ["of a web page", { status: 200, body: "<html>" }],
  ])("a listing %s is an error and never shorter", async ([, fault]) => {
    await using google = await startGoogleStorage({ bucket });
    await using proxy = await startBrokenProxy(google.endpoint);
    const store = storeAt(google, { endpoint: proxy.url });
    await store.put("a", [patternBytes(99)]);
    proxy.decide = () => fault;
    expect(await codeOf(() => listKeys(store, ""))).toBe("objectstore.unavailable");
  });
});

test("the stand-in refuses what Google's document does not name", async () => {
  await using google = await startGoogleStorage({ bucket });
  await storeAt(google).put("a", [patternBytes(9)]);
  const [token = ""] = google.tokens;
  const ask = async (
    path: string,
    init: { method?: string; body?: string; headers?: Readonly<Record<string, string>> } = {},
  ): Promise<number> => {
    const headers = { authorization: `Bearer ${token}`, ...init.headers };
    return (await fetch(google.endpoint + path, { ...init, headers })).status;
  };
  const objects = `/storage/v1/b/${bucket}/o`;
  const upload = `/upload${objects}?uploadType=multipart&name=b`;
  expect(await ask(objects)).toBe(200);
  expect(await ask(objects, { headers: { authorization: "" } })).toBe(401);
  expect(await ask(objects, { headers: { authorization: "Bearer other" } })).toBe(401);
  expect(await ask(`${objects}?continuationToken=x`)).toBe(400);
  expect(await ask(`${objects}?fields=a((`)).toBe(400);
  expect(await ask(upload, { method: "POST", body: "x" })).toBe(400);
  const multipart = { "content-type": "multipart/related; boundary=b" };
  expect(await ask(upload, { method: "POST", headers: multipart, body: "--b\r\n" })).toBe(400);
  expect(await ask(`${objects}/a`, { method: "PUT" })).toBe(405);
  expect(await ask("/token", { method: "POST", body: "grant_type=password" })).toBe(400);
});
