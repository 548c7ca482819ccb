import { afterAll, beforeAll } from "vitest";
import { describeObjectStore } from "../../src/objectstore/testing/index.ts";
import { startCeph } from "../support/ceph.ts";
import type { Ceph } from "../support/ceph.ts";
import { startS3Proxy } from "../support/s3-proxy.ts";
import type { S3Proxy } from "../support/s3-proxy.ts";
import { openS3 } from "../support/s3-store.ts";
import { startSwift } from "../support/swift.ts";
import type { Swift } from "../support/swift.ts";

let ceph: Ceph;
let swift: Swift;
let ignoring: S3Proxy;
let bucket: string;
let counter = 0;

beforeAll(async () => {
  [ceph, swift] = await Promise.all([startCeph(), startSwift()]);
  bucket = await ceph.createBucket();
  await swift.createBucket("contract");
  ignoring = await startS3Proxy({ target: ceph.endpoint, ignoreConditions: ceph.admin });
});
afterAll(async () => {
  await ignoring[Symbol.asyncDispose]();
  await Promise.all([ceph[Symbol.asyncDispose](), swift[Symbol.asyncDispose]()]);
});

/** A prefix of its own for each case. */
function nextPrefix(): string {
  counter += 1;
  return `prefix/${counter}`;
}

describeObjectStore("s3 at Ceph, http on loopback", async () => ({
  store: await openS3(`s3:${ceph.endpoint}/${bucket}/${nextPrefix()}`, { user: ceph.owner }),
  [Symbol.asyncDispose]: async () => {},
}));

describeObjectStore("s3 at Ceph, TLS", async () => ({
  store: await openS3(`s3:${ceph.tlsEndpoint}/${bucket}/${nextPrefix()}`, {
    user: ceph.owner,
    tls: { certificateAuthorities: ceph.certificates.authority },
  }),
  [Symbol.asyncDispose]: async () => {},
}));

describeObjectStore("s3 at Swift, which refuses conditional writes", async () => ({
  store: await openS3(`s3:${swift.endpoint}/contract/${nextPrefix()}`, { user: swift.user }),
  [Symbol.asyncDispose]: async () => {},
}));

describeObjectStore("s3 at a server that ignores conditions", async () => ({
  store: await openS3(`s3:${ignoring.endpoint}/${bucket}/${nextPrefix()}`, { user: ceph.owner }),
  [Symbol.asyncDispose]: async () => {},
}));
