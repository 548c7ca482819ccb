import { once } from "node:events";
import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AppError } from "../../src/kernel/index.ts";
import type { ObjectStore } from "../../src/objectstore/index.ts";
import { codeOf, listKeys, patternBytes } from "../../src/objectstore/testing/index.ts";
import { startCeph } from "../support/ceph.ts";
import type { Ceph } from "../support/ceph.ts";
import { startS3Proxy } from "../support/s3-proxy.ts";
import type { ProxyFault, SeenRequest } from "../support/s3-proxy.ts";
import { openS3 } from "../support/s3-store.ts";

let ceph: Ceph;
let bucket: string;
let counter = 0;

beforeAll(async () => {
  ceph = await startCeph();
  bucket = await ceph.createBucket();
});
afterAll(() => ceph[Symbol.asyncDispose]());

/** Code and hint of what `work` throws. */
async function refusalOf(work: () => Promise<unknown>): Promise<{ code: string; hint: string }> {
  try {
    await work();
  } catch (thrown) {
    if (thrown instanceof AppError) return { code: thrown.code, hint: thrown.hint ?? "" };
    throw thrown;
  }
  return { code: "no error", hint: "" };
}

describe("TLS", () => {
  const open = (endpoint: string, tls: { minVersion?: "1.3"; certificateAuthorities?: string }) =>
    openS3(`s3:${endpoint}/${bucket}`, { user: ceph.owner, tls });

  test("says which version was negotiated", async () => {
    const { authority } = ceph.certificates;
    const store = await open(ceph.tlsEndpoint, { certificateAuthorities: authority });
    expect(store.connection?.()).toEqual({ tls: ["TLSv1.3"], plain: false });
    const plain = await openS3(`s3:${ceph.endpoint}/${bucket}`, { user: ceph.owner });
    expect(plain.connection?.()).toEqual({ tls: [], plain: true });
  });

  test("refuses an authority that nobody named, at once", async () => {
    const refusal = await refusalOf(() => open(ceph.tlsEndpoint, {}));
    expect(refusal.code).toBe("objectstore.tls_refused");
    expect(refusal.hint).toContain("tls.ca");
  });

  test("refuses a certificate for another name", async () => {
    const { authority } = ceph.certificates;
    const byAddress = ceph.tlsEndpoint.replace("localhost", "127.0.0.1");
    const refusal = await refusalOf(() => open(byAddress, { certificateAuthorities: authority }));
    expect(refusal.code).toBe("objectstore.tls_refused");
    expect(refusal.hint).toContain("host");
  });

  test("refuses a server that speaks TLS 1.2 alone where 1.3 is the least, and takes it elsewhere", async () => {
    const { authority, certificate, key } = ceph.certificates;
    await using old = await startS3Proxy({
      target: ceph.endpoint,
      tls: { key, cert: certificate, maxVersion: "TLSv1.2" },
    });
    const trusted = { certificateAuthorities: authority };
    const refusal = await refusalOf(() => open(old.endpoint, { ...trusted, minVersion: "1.3" }));
    expect(refusal.code).toBe("objectstore.tls_refused");
    expect(refusal.hint).toContain("tls.min");
    const store = await open(old.endpoint, trusted);
    expect(store.connection?.()).toEqual({ tls: ["TLSv1.2"], plain: false });
  });

  test("refuses a server without TLS", async () => {
    const plain = ceph.endpoint.replace("http://", "https://");
    expect((await refusalOf(() => open(plain, {}))).code).toBe("objectstore.tls_refused");
  });

  test("refuses plain http beyond loopback, also where the environment names the server", async () => {
    expect(await codeOf(() => open("http://192.0.2.1", {}))).toBe("objectstore.invalid_location");
    process.env["AWS_ENDPOINT_URL_S3"] = "http://192.0.2.1";
    try {
      const open = () =>
        openS3(`s3://${bucket}`, { user: ceph.owner, s3: { region: "af-south-1" } });
      expect(await codeOf(open)).toBe("objectstore.invalid_location");
    } finally {
      delete process.env["AWS_ENDPOINT_URL_S3"];
    }
  });
});

describe("what is set up wrongly", () => {
  const open = (name: string, user = ceph.owner) => openS3(`s3:${ceph.endpoint}/${name}`, { user });

  test("a bucket that is not there", async () => {
    const refusal = await refusalOf(() => open("no-such-bucket"));
    expect(refusal.code).toBe("objectstore.bucket_missing");
    expect(refusal.hint).toContain("bucket");
  });

  test("an access key that nobody has, and a wrong secret", async () => {
    for (const user of [
      { ...ceph.owner, accessKey: "NOBODY" },
      { ...ceph.owner, secretKey: "wrong" },
    ]) {
      const refusal = await refusalOf(() => open(bucket, user));
      expect(refusal.code).toBe("objectstore.denied");
      expect(refusal.hint).toContain("secret_key");
      expect(refusal.hint).not.toContain("wrong");
    }
  });

  test("a bucket of somebody else", async () => {
    const store = await open(bucket, ceph.guest);
    const work = {
      "s3:GetObject": () => store.get("a"),
      "s3:GetObject and s3:ListBucket": () => store.stat("a"),
      "s3:PutObject": () => store.put("a", [Buffer.from("x")]),
      "s3:ListBucket": () => listKeys(store, ""),
      "s3:DeleteObject": () => store.remove("a"),
    };
    for (const [right, ask] of Object.entries(work)) {
      const refusal = await refusalOf(ask);
      expect(refusal.code).toBe("objectstore.denied");
      expect(refusal.hint).toContain(`Grant this access key ${right} `);
    }
  });

  test("a quota that is used up", async () => {
    const small = await ceph.createBucket();
    const quota = ["--quota-scope=bucket", `--bucket=${small}`];
    await ceph.administer(["quota", "set", ...quota, "--max-objects=1"]);
    await ceph.administer(["quota", "enable", ...quota]);
    const store = await open(small);
    await store.put("a", [Buffer.from("x")]);
    const refusal = await refusalOf(() => store.put("b", [Buffer.from("x")]));
    expect(refusal.code).toBe("objectstore.full");
    expect(refusal.hint).toContain("quota");
  });
});

/** A store behind a proxy that does as told, each request once told; what it retried. */
async function behindProxy(
  decide: (request: SeenRequest, number: number) => ProxyFault | undefined,
): Promise<
  { store: ObjectStore; retried: string[]; seen: readonly SeenRequest[] } & AsyncDisposable
> {
  counter += 1;
  const proxy = await startS3Proxy({
    target: ceph.endpoint,
    decide: (request, number) =>
      request.path.includes(`/${bucket}/p`) ? decide(request, number) : undefined,
  });
  const retried: string[] = [];
  const store = await openS3(`s3:${proxy.endpoint}/${bucket}/p${counter}`, {
    user: ceph.owner,
    onRetry: (code) => retried.push(code),
  });
  return {
    store,
    retried,
    seen: proxy.seen,
    [Symbol.asyncDispose]: () => proxy[Symbol.asyncDispose](),
  };
}

/** Each fault hits the first request that it is for, and no other. */
function first(
  method: string,
  fault: ProxyFault,
): (request: SeenRequest) => ProxyFault | undefined {
  let left = 1;
  return (request) => {
    if (request.method !== method || request.path.includes("sparekeep/probe")) return undefined;
    left -= 1;
    return left >= 0 ? fault : undefined;
  };
}

describe("what passes", () => {
  const PASSING: readonly (readonly [string, ProxyFault])[] = [
    ["500", { status: 500, code: "InternalError" }],
    ["503 SlowDown", { status: 503, code: "SlowDown" }],
    ["502 without a name", { status: 502, code: "" }],
    ["429", { status: 429, code: "TooManyRequests" }],
    [
      "409 while another write of the key goes on",
      { status: 409, code: "ConditionalRequestConflict" },
    ],
    ["a digest that did not match", { status: 400, code: "BadDigest" }],
    ["bytes that arrived damaged", "flip-request"],
    ["an acknowledgement of nothing", "forget"],
    ["a reset", "reset"],
    ["a lost answer", "lose-answer"],
  ];

  test.for(PASSING)("put after %s", async ([, fault]) => {
    await using behind = await behindProxy(first("PUT", fault));
    const body = patternBytes(300_000);
    await behind.store.put("data/a", [body.subarray(0, 7), body.subarray(7)], { ifAbsent: true });
    expect(behind.retried).toEqual(["objectstore.unavailable"]);
    expect(Buffer.compare(await behind.store.get("data/a"), body)).toBe(0);
  });

  test.for(["500", "reset", "cut-body", "lose-answer"] as const)("get after %s", async (name) => {
    const fault = name === "500" ? { status: 500, code: "InternalError" } : name;
    await using behind = await behindProxy(first("GET", fault));
    const body = patternBytes(300_000);
    await behind.store.put("data/a", [body]);
    expect(Buffer.compare(await behind.store.get("data/a"), body)).toBe(0);
    expect(behind.retried).toEqual(["objectstore.unavailable"]);
  });

  test("a listing that breaks off goes on, each object once", async () => {
    await using behind = await behindProxy(first("GET", "reset"));
    for (const key of ["a", "b", "c"]) await behind.store.put(key, [Buffer.from("x")]);
    expect(await listKeys(behind.store, "")).toEqual(["a", "b", "c"]);
  });
});

describe("what does not pass", () => {
  const FINAL: readonly (readonly [number, string, string])[] = [
    [403, "AccessDenied", "objectstore.denied"],
    [403, "RequestTimeTooSkewed", "objectstore.clock_differs"],
    [400, "ExpiredToken", "objectstore.denied"],
    [403, "QuotaExceeded", "objectstore.full"],
    [507, "", "objectstore.full"],
    [400, "AuthorizationHeaderMalformed", "objectstore.wrong_region"],
    [301, "PermanentRedirect", "objectstore.wrong_region"],
    [400, "InvalidRequest", "objectstore.unsupported"],
    [403, "InvalidObjectState", "objectstore.storage_class"],
  ];

  test.for(FINAL)("%d %s is %s, asked once", async ([status, code, expected]) => {
    await using behind = await behindProxy(() => ({ status, code }));
    const refusal = await refusalOf(() => behind.store.put("a", [Buffer.from("x")]));
    expect(refusal.code).toBe(expected);
    expect(behind.retried).toEqual([]);
  });

  test("the server's own word names the region", async () => {
    const headers = { "x-amz-bucket-region": "af-south-1" };
    await using behind = await behindProxy(() => ({ status: 301, code: "", headers }));
    const refusal = await refusalOf(() => behind.store.get("a"));
    expect(refusal.code).toBe("objectstore.wrong_region");
    expect(refusal.hint).toContain("af-south-1");
  });

  test("while a store is opened, patience is shorter", async () => {
    let failures = 3;
    await using proxy = await startS3Proxy({
      target: ceph.endpoint,
      decide: () => {
        failures -= 1;
        return failures >= 0 ? { status: 503, code: "SlowDown" } : undefined;
      },
    });
    const retried: string[] = [];
    const open = () =>
      openS3(`s3:${proxy.endpoint}/${bucket}`, {
        user: ceph.owner,
        onRetry: (code) => retried.push(code),
      });
    expect((await open()).location).toBe(`s3:${proxy.endpoint}/${bucket}`);
    expect(retried.length).toBeGreaterThan(0);
    failures = Number.POSITIVE_INFINITY;
    expect(await codeOf(open)).toBe("objectstore.unavailable");
  });

  test("an error that stays is thrown when patience ends", async () => {
    await using behind = await behindProxy(() => ({ status: 503, code: "SlowDown" }));
    expect(await codeOf(() => behind.store.get("a"))).toBe("objectstore.unavailable");
    expect(behind.retried.length).toBeGreaterThan(10);
  });
});

describe("an abort", () => {
  test("in the middle of an upload leaves nothing, and ends at once", async () => {
    const control = new AbortController();
    await using behind = await behindProxy(({ method }) => {
      if (method !== "PUT") return undefined;
      control.abort();
      return "silence";
    });
    const body = Array.from({ length: 40 }, (_, index) => patternBytes(500_000, index + 1));
    const put = codeOf(() => behind.store.put("data/a", body, { signal: control.signal }));
    expect(await put).toBe("kernel.cancelled");
    expect(await behind.store.stat("data/a")).toBeUndefined();
    expect(await listKeys(behind.store, "")).toEqual([]);
  });

  test("in the middle of a download ends it", async () => {
    const control = new AbortController();
    await using behind = await behindProxy(() => undefined);
    await behind.store.put("data/a", [patternBytes(20_000_000)]);
    const got = codeOf(() => behind.store.get("data/a", { signal: control.signal }));
    setImmediate(() => control.abort());
    expect(await got).toBe("kernel.cancelled");
  });

  test("while the first writer probes leaves the others their answer", async () => {
    const control = new AbortController();
    await using behind = await behindProxy(({ path }) => {
      if (path.includes("/sparekeep/probe/")) control.abort();
      return undefined;
    });
    const { store } = behind;
    const body = [Buffer.from("x")];
    const codes = await Promise.all([
      codeOf(() => store.put("a", body, { ifAbsent: true, signal: control.signal })),
      codeOf(() => store.put("b", body, { ifAbsent: true })),
    ]);
    expect(codes).toEqual(["kernel.cancelled", "no error"]);
    expect(await listKeys(store, "")).toEqual(["b"]);
  });

  test("while the probe waits for ever ends at once", async () => {
    const control = new AbortController();
    await using behind = await behindProxy(({ path }) => {
      if (!path.includes("/sparekeep/probe/")) return undefined;
      control.abort();
      return "silence";
    });
    const { signal } = control;
    const put = codeOf(() => behind.store.put("a", [], { ifAbsent: true, signal }));
    expect(await put).toBe("kernel.cancelled");
  });

  test("before a server that never answers", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const { openObjectStore } = await import("../../src/objectstore/index.ts");
    const { systemClock, Secret } = await import("../../src/kernel/index.ts");
    const control = new AbortController();
    server.once("connection", () => control.abort());
    const opening = codeOf(() =>
      openObjectStore(`s3:http://127.0.0.1:${port}/bucket`, {
        clock: systemClock,
        random: (size) => new Uint8Array(size),
        settings: { s3: { credentials: { id: new Secret("id"), secret: new Secret("key") } } },
        signal: control.signal,
      }),
    );
    expect(await opening).toBe("kernel.cancelled");
    server.close();
  });
});
