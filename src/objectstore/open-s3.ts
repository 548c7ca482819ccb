import { createS3Access } from "./s3-client.ts";
import { readBucketFacts } from "./s3-bucket.ts";
import { formatS3Location, parseS3Endpoint, parseS3Location } from "./s3-location.ts";
import { createS3Store } from "./s3.ts";
import type { OpenDriver } from "./drivers.ts";
import { requireUsableClass } from "./storage-class.ts";
import { createTransport } from "./transport.ts";

/** At least as many as calls at once: the SDK would take the wait for a socket for a server that does not answer. */
const SOCKETS = 32;

/** Loaded when an `s3:` location is opened: the SDK is large. */
export const openS3: OpenDriver = async (location, { random, settings = {}, patiently }) => {
  const { s3 = {}, tls, limits } = settings;
  const named = parseS3Location(location);
  const endpoint =
    named.endpoint ?? (s3.endpoint === undefined ? undefined : parseS3Endpoint(s3.endpoint));
  const place = { ...named, endpoint };
  if (s3.storageClass !== undefined) {
    requireUsableClass("s3", s3.storageClass, { ownClasses: endpoint !== undefined });
  }
  const transport = createTransport(tls, Math.max(SOCKETS, limits?.concurrency ?? 0));
  const access = createS3Access(place, s3, transport);
  const bucket = await patiently((signal) => readBucketFacts(access, signal));
  return createS3Store({
    location: formatS3Location(place),
    access,
    bucket,
    random,
    connection: transport.facts,
  });
};
