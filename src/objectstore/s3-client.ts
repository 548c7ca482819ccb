import { S3Client } from "@aws-sdk/client-s3";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { s3Error } from "./s3-errors.ts";
import type { Request } from "./s3-errors.ts";
import { regionOfHost } from "./s3-location.ts";
import type { S3Location } from "./s3-location.ts";
import { limitText } from "./s3-text.ts";
import type { AccessKey, S3Settings } from "./settings.ts";
import { serverUrl } from "./transport.ts";
import type { Transport } from "./transport.ts";

/** A place in a bucket and who talks to it: what every request of the driver starts from. */
export interface S3Access {
  readonly client: S3Client;
  readonly bucket: string;
  readonly prefix: string;
  readonly settings: S3Settings;
}

const CONNECT_TIMEOUT_MS = 15_000;
/** Without one byte in either direction. */
const SILENCE_TIMEOUT_MS = 60_000;

export function createS3Access(
  location: S3Location,
  settings: S3Settings,
  transport: Transport,
): S3Access {
  const { bucket, prefix, endpoint } = location;
  const region = settings.region ?? regionOfHost(endpoint) ?? regionOfCompatible(endpoint);
  const client = new S3Client({
    // Without one the SDK's own search for a region, and its error where there is none: no region is guessed for AWS.
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint: endpoint.origin }),
    forcePathStyle: settings.pathStyle ?? (endpoint !== undefined || bucket.includes(".")),
    // Without credentials in the settings the SDK's chain looks itself into the environment, shared files and roles: the
    // one reader of the environment beside main.ts.
    ...(settings.credentials === undefined
      ? {}
      : { credentials: credentialsOf(settings.credentials) }),
    requestHandler: new NodeHttpHandler({
      httpAgent: transport.http,
      httpsAgent: transport.https,
      connectionTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: SILENCE_TIMEOUT_MS,
    }),
    // withRetry decides what is repeated.
    maxAttempts: 1,
    // Many compatible servers refuse the SDK's newer checksums; Content-MD5, which put sends, all of them verify.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    // With it the SDK sends large bodies through an agent of its own: past our floor of TLS.
    expectContinueHeader: false,
    // What it would print is in the errors that it throws.
    logger: SILENT,
  });
  refusePlainHttp(client);
  limitText(client);
  return { client, bucket, prefix, settings };
}

const silent = (): void => undefined;
const SILENT = { trace: silent, debug: silent, info: silent, warn: silent, error: silent };

/** Those take any; what they are asked with by everybody. */
function regionOfCompatible(endpoint: URL | undefined): string | undefined {
  const ofAws = endpoint === undefined || /\.amazonaws\.com(?:\.cn)?$/.test(endpoint.hostname);
  return ofAws ? undefined : "us-east-1";
}

function credentialsOf({ id, secret, sessionToken }: AccessKey): {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
} {
  return {
    accessKeyId: id.reveal(),
    secretAccessKey: secret.reveal(),
    ...(sessionToken === undefined ? {} : { sessionToken: sessionToken.reveal() }),
  };
}

/** The SDK may take its endpoint from the environment or a shared file: the same rule holds for those. */
function refusePlainHttp(client: S3Client): void {
  client.middlewareStack.add(
    (next) => (args) => {
      const { request } = args;
      if (isAddressed(request)) serverUrl(`${request.protocol}//${request.hostname}`);
      return next(args);
    },
    { step: "build", name: "sparekeepRefusePlainHttp" },
  );
}

function isAddressed(request: unknown): request is { protocol: string; hostname: string } {
  return (
    typeof request === "object" &&
    request !== null &&
    "protocol" in request &&
    "hostname" in request
  );
}

/** One request, its errors wrapped where they enter. */
export async function ask<Answer>(
  access: S3Access,
  request: Request,
  send: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await send();
  } catch (thrown) {
    throw s3Error(thrown, request, access.bucket);
  }
}

export function waits(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}
