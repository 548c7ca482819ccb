import { objectStoreError } from "./errors.ts";
import { isKey } from "./keys.ts";

export interface GoogleLocation {
  readonly bucket: string;
  /** `""`, or with a trailing slash. */
  readonly prefix: string;
}

const BUCKET = /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/;

export function parseGoogleLocation(location: string): GoogleLocation {
  const [, bucket = "", path = ""] = /^gs:\/\/([^/]*)\/?(.*)$/i.exec(location) ?? [];
  const prefix = path.replace(/\/+$/, "");
  if (!BUCKET.test(bucket) || (prefix !== "" && !isKey(prefix))) {
    throw objectStoreError("invalid_location", {
      message: "gs: location that names no bucket, or a folder outside the allowed alphabet",
      hint: "Write gs://BUCKET/FOLDER.",
    });
  }
  return { bucket, prefix: prefix === "" ? "" : `${prefix}/` };
}
