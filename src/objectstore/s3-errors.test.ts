import { describe, expect, test } from "vitest";
import { KIND_RULES } from "../kernel/index.ts";
import { s3Error } from "./s3-errors.ts";

/** As the SDK throws what a server answered. */
function answered(status: number | undefined, name: string, more: object = {}): Error {
  const $metadata = status === undefined ? {} : { httpStatusCode: status };
  return Object.assign(new Error("planted"), { name, $metadata, ...more });
}

function wrap(thrown: unknown, conditional = false) {
  return s3Error(thrown, { action: "write", key: "data/a", conditional }, "bucket");
}

describe("an answer of the server", () => {
  test.for([
    [404, "NoSuchKey", "not_found"],
    [404, "NotFound", "not_found"],
    [404, "NoSuchBucket", "bucket_missing"],
    [412, "PreconditionFailed", "exists"],
    [409, "ConditionalRequestConflict", "unavailable"],
    [503, "SlowDown", "unavailable"],
    [500, "InternalError", "unavailable"],
    [200, "InternalError", "unavailable"],
    [429, "", "unavailable"],
    [400, "RequestTimeout", "unavailable"],
    [400, "BadDigest", "unavailable"],
    [401, "", "denied"],
    [403, "Unknown", "denied"],
    [403, "InvalidAccessKeyId", "denied"],
    [403, "SignatureDoesNotMatch", "denied"],
    [400, "ExpiredToken", "denied"],
    [403, "QuotaExceeded", "full"],
    [507, "XMinioStorageFull", "full"],
    [301, "PermanentRedirect", "wrong_region"],
    [400, "AuthorizationHeaderMalformed", "wrong_region"],
    [403, "RequestTimeTooSkewed", "clock_differs"],
    [403, "InvalidObjectState", "storage_class"],
    [501, "NotImplemented", "unsupported"],
    [400, "MalformedXML", "unsupported"],
    [undefined, "CredentialsProviderError", "denied"],
    [undefined, "TimeoutError", "unavailable"],
  ] as const)("%s %s is %s", ([status, name, code]) => {
    expect(wrap(answered(status, name)).code).toBe(`objectstore.${code}`);
  });

  test("409 and 412 without a name mean a taken key only where a condition was sent", () => {
    for (const status of [409, 412]) {
      expect(wrap(answered(status, ""), true).code).toBe("objectstore.exists");
      expect(wrap(answered(status, "")).code).toBe("objectstore.unavailable");
    }
  });

  test("the bucket's region is told where the server says it", () => {
    const inBody = answered(301, "PermanentRedirect", { Region: "eu-west-1" });
    expect(wrap(inBody).hint).toContain("eu-west-1");
    const headers = { "x-amz-bucket-region": "af-south-1" };
    expect(wrap(answered(301, "", { $response: { headers } })).hint).toContain("af-south-1");
  });

  test("an abort is no fault of the store", () => {
    expect(wrap(new DOMException("aborted", "AbortError")).code).toBe("kernel.cancelled");
  });

  test("whatever else is thrown may pass", () => {
    for (const thrown of ["text", undefined, new Error("socket hang up"), { odd: true }]) {
      const error = wrap(thrown);
      expect(error.code).toBe("objectstore.unavailable");
      expect(KIND_RULES[error.kind].retry).toBe("backoff");
    }
  });

  test("no region is guessed", () => {
    const error = wrap(new Error("Region is missing"));
    expect(error.code).toBe("objectstore.invalid_location");
    expect(error.hint).toContain("region");
  });
});
