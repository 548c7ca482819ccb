import { afterAll, beforeAll } from "vitest";
import { describeObjectStore } from "../../src/objectstore/testing/index.ts";
import { startCeph } from "../support/ceph.ts";
import type { Ceph } from "../support/ceph.ts";
import { openS3 } from "../support/s3-store.ts";

let ceph: Ceph;
let bucket: string;
let counter = 0;

beforeAll(async () => {
  ceph = await startCeph();
  bucket = await ceph.createBucket();
});
afterAll(() => ceph[Symbol.asyncDispose]());

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
