import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatS3Location, parseS3Endpoint, parseS3Location, regionOfHost } from "./s3-location.ts";
import { codeOf } from "./testing/index.ts";

describe("an s3 location", () => {
  test.for([
    ["s3://bucket", undefined, "bucket", ""],
    ["s3://bucket/", undefined, "bucket", ""],
    ["s3://bucket/a/b/", undefined, "bucket", "a/b/"],
    ["s3:https://host/bucket", "https://host", "bucket", ""],
    ["s3:https://host:9000/bucket/a", "https://host:9000", "bucket", "a/"],
    ["s3:http://127.0.0.1:9000/Old_Bucket/a", "http://127.0.0.1:9000", "Old_Bucket", "a/"],
    ["s3:s3.amazonaws.com/my.bucket/a", "https://s3.amazonaws.com", "my.bucket", "a/"],
  ] as const)("%s", ([text, endpoint, bucket, prefix]) => {
    const found = parseS3Location(text);
    expect([found.endpoint?.origin, found.bucket, found.prefix]).toEqual([
      endpoint,
      bucket,
      prefix,
    ]);
    expect(parseS3Location(formatS3Location(found))).toEqual(found);
  });

  test.for([
    "s3:",
    "s3://",
    "s3:///a",
    "s3://b",
    "s3:bucket",
    "s3:https://host",
    "s3:https://host/",
    "s3:http://host/bucket",
    "s3:ftp://host/bucket",
    "s3:https://key:hunter2@host/bucket",
    "s3:key:hunter2@host/bucket",
    "s3://bucket/../other",
    "s3://bucket/a//b",
    "s3://bucket/with space",
    "s3://bucket/a?versionId=hunter2",
    "s3://bucket/a#hunter2",
    `s3://bucket/${"a".repeat(124)}`,
  ])("%s is refused without repeating it", async (text) => {
    const parse = async (): Promise<unknown> => parseS3Location(text);
    expect(await codeOf(parse)).toBe("objectstore.invalid_location");
    await expect(parse()).rejects.not.toThrow("hunter2");
  });

  test("never leaves the bucket that it names, whatever is written", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        let found: ReturnType<typeof parseS3Location>;
        try {
          found = parseS3Location(`s3://${text}`);
        } catch {
          return;
        }
        expect(found.prefix).toMatch(/^(?:[A-Za-z0-9._-]+\/)*$/);
        expect(found.prefix.split("/")).not.toContain("..");
        expect(found.bucket).toMatch(/^[A-Za-z0-9._-]+$/);
      }),
    );
  });

  test.for([
    "http://host",
    "https://key:hunter2@host",
    "https://host/path",
    "https://host?x",
    "host",
  ])("the endpoint %s is refused without repeating it", async (text) => {
    const parse = async (): Promise<unknown> => parseS3Endpoint(text);
    expect(await codeOf(parse)).toBe("objectstore.invalid_location");
    await expect(parse()).rejects.not.toThrow("hunter2");
  });

  test.for([
    ["https://s3.af-south-1.amazonaws.com", "af-south-1"],
    ["https://s3-eu-west-1.amazonaws.com", "eu-west-1"],
    ["https://s3.dualstack.eu-west-2.amazonaws.com", "eu-west-2"],
    ["https://s3.amazonaws.com", undefined],
    ["https://s3.af-south-1.amazonaws.com.example.org", undefined],
  ] as const)("%s lies in %s", ([endpoint, region]) => {
    expect(regionOfHost(new URL(endpoint))).toBe(region);
  });
});
