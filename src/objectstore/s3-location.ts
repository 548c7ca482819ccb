import { objectStoreError } from "./errors.ts";
import { isKeyPart } from "./keys.ts";
import { serverUrl } from "./transport.ts";

export interface S3Location {
  /** Undefined where the location names none: AWS, or what the settings say. */
  readonly endpoint: URL | undefined;
  readonly bucket: string;
  /** Empty, or a folder with its trailing slash. */
  readonly prefix: string;
}

/** Wider than AWS allows today: its oldest buckets and compatible servers have capitals and underscores. */
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/;
/** S3 allows 1024 bytes, our keys take 900. */
const MAX_PREFIX_LENGTH = 123;

/** `s3://BUCKET/PREFIX`, and as restic writes it `s3:https://HOST[:PORT]/BUCKET/PREFIX` or `s3:HOST/BUCKET/PREFIX`. */
export function parseS3Location(location: string): S3Location {
  const rest = location.slice("s3:".length);
  if (rest.startsWith("//")) return place(undefined, rest.slice(2));
  const server = /^(https?:\/\/[^/]+|[^/]+)\/(.*)$/.exec(rest);
  const [, host, path] = server ?? [];
  if (host === undefined || path === undefined) throw invalid("s3 location without a bucket");
  const text = host.includes("://") ? host : `https://${host}`;
  if (text.includes("@")) throw invalid("s3 location with credentials in it");
  return place(serverUrl(text), path);
}

function place(endpoint: URL | undefined, path: string): S3Location {
  const [bucket = "", ...parts] = path.replace(/\/+$/, "").split("/");
  if (!BUCKET.test(bucket)) throw invalid("s3 location without a name that a bucket can have");
  if (!parts.every(isKeyPart)) throw invalid(`s3 location with a prefix outside A-Z a-z 0-9 . _ -`);
  const prefix = parts.map((part) => `${part}/`).join("");
  if (prefix.length > MAX_PREFIX_LENGTH) {
    throw invalid(`s3 location with a prefix of more than ${MAX_PREFIX_LENGTH} characters`);
  }
  return { endpoint, bucket, prefix };
}

/** What is not understood is not shown: it may hold credentials. */
function invalid(message: string): Error {
  return objectStoreError("invalid_location", {
    message,
    hint: "Write s3://BUCKET/PREFIX or s3:https://HOST[:PORT]/BUCKET/PREFIX; credentials stand in the policy.",
  });
}

/** Of the settings: an origin and nothing else. */
export function parseS3Endpoint(text: string): URL {
  const url = serverUrl(text);
  if (url.href === `${url.origin}/`) return url;
  throw invalid("endpoint with more than a host and a port");
}

/** For people; reads back as the same place. */
export function formatS3Location({ endpoint, bucket, prefix }: S3Location): string {
  const path = `${bucket}/${prefix}`.replace(/\/$/, "");
  return endpoint === undefined ? `s3://${path}` : `s3:${endpoint.origin}/${path}`;
}

/** `s3.af-south-1.amazonaws.com` says its region itself. */
export function regionOfHost(endpoint: URL | undefined): string | undefined {
  return /^s3[.-](?:dualstack\.)?([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com(?:\.cn)?$/.exec(
    endpoint?.hostname ?? "",
  )?.[1];
}
