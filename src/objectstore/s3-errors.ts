import { AppError, isAbort, kernelError } from "../kernel/index.ts";
import type { ErrorDetail } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import { retryAfterMsOf } from "./retry-after.ts";
import { tlsError } from "./network-errors.ts";

/** What each kind of request takes, as policies of users and buckets call it. */
const RIGHTS = {
  write: "s3:PutObject",
  read: "s3:GetObject",
  // Without the second the server hides whether an object is there.
  "look at": "s3:GetObject and s3:ListBucket",
  list: "s3:ListBucket",
  remove: "s3:DeleteObject",
  lock: "s3:PutObjectRetention",
  "read the lock of": "s3:GetObjectRetention",
  "list versions of": "s3:ListBucketVersions",
  "ask the versioning of": "s3:GetBucketVersioning",
  "ask the Object Lock of": "s3:GetBucketObjectLockConfiguration",
} as const;

export interface Request {
  /** As in `no right to <action> <key>`. */
  readonly action: keyof typeof RIGHTS;
  readonly key: string;
  /** Sent with `If-None-Match`: a conflict then means a taken key. */
  readonly conditional?: boolean;
  /** Sent with it, so that an argument that the server does not take is most likely this one. */
  readonly storageClass?: string | undefined;
}

type Code = keyof typeof objectStoreError.codes;

/** What servers call their errors; AWS's names, and those that compatible servers add. */
const CODES: ReadonlyMap<string, Code> = new Map(
  Object.entries<Code>({
    NoSuchKey: "not_found",
    NoSuchVersion: "not_found",
    NoSuchBucket: "bucket_missing",
    PreconditionFailed: "exists",
    ConditionalRequestConflict: "unavailable",
    OperationAborted: "unavailable",
    SlowDown: "unavailable",
    ServiceUnavailable: "unavailable",
    InternalError: "unavailable",
    RequestTimeout: "unavailable",
    Throttling: "unavailable",
    ThrottlingException: "unavailable",
    TooManyRequests: "unavailable",
    RequestLimitExceeded: "unavailable",
    // What arrived is not what was sent.
    BadDigest: "unavailable",
    XAmzContentSHA256Mismatch: "unavailable",
    IncompleteBody: "unavailable",
    QuotaExceeded: "full",
    QuotaExceededException: "full",
    XMinioStorageFull: "full",
    InsufficientCapacity: "full",
    PermanentRedirect: "wrong_region",
    TemporaryRedirect: "wrong_region",
    AuthorizationHeaderMalformed: "wrong_region",
    IllegalLocationConstraintException: "wrong_region",
    RequestTimeTooSkewed: "clock_differs",
    RequestExpired: "clock_differs",
    InvalidObjectState: "storage_class",
    InvalidStorageClass: "storage_class",
    NotImplemented: "unsupported",
  }),
);

const WRONG_KEY = new Set(["InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidClientTokenId"]);
const EXPIRED = new Set(["ExpiredToken", "TokenRefreshRequired", "InvalidToken"]);

interface Answer {
  readonly status: number | undefined;
  /** The server's own name of the error; empty where it gave none. */
  readonly name: string;
  readonly region: string | undefined;
}

/** Wraps what the SDK threw, once, where it enters. What is not known to be final may pass: `unavailable`. */
export function s3Error(thrown: unknown, request: Request, bucket: string): AppError {
  if (thrown instanceof AppError) return thrown;
  if (isAbort(thrown)) return kernelError("cancelled", { message: "cancelled", cause: thrown });
  const answer = answerOf(thrown);
  const { key } = request;
  const refused = tlsError(thrown, { bucket, key });
  if (refused !== undefined) return refused;
  const code = codeOf(answer, request);
  return objectStoreError(code, {
    ...describe(code, answer, request, bucket, thrown),
    subject: {
      key,
      bucket,
      ...(answer.status === undefined ? {} : { status: answer.status }),
      ...(answer.name === "" ? {} : { answer: answer.name }),
      ...(code === "unavailable" ? retryAfterOf(thrown) : {}),
    },
    cause: thrown,
  });
}

function codeOf({ name, status }: Answer, { conditional, storageClass }: Request): Code {
  if (name === "CredentialsProviderError" || WRONG_KEY.has(name) || EXPIRED.has(name)) {
    return "denied";
  }
  if (name === "InvalidArgument" && storageClass !== undefined) return "storage_class";
  const known = CODES.get(name);
  if (known !== undefined) return known;
  if (status === undefined) return isSetting(name) ? "invalid_location" : "unavailable";
  if (status === 409 || status === 412) return conditional === true ? "exists" : "unavailable";
  if (status === 401 || status === 403) return "denied";
  if (status === 404) return "not_found";
  if (status === 301 || status === 307 || status === 308) return "wrong_region";
  if (status === 507) return "full";
  if (status === 501) return "unsupported";
  if (status === 408 || status === 425 || status === 429) return "unavailable";
  return status >= 400 && status < 500 ? "unsupported" : "unavailable";
}

/** The SDK found no region, and asked nobody. */
function isSetting(name: string): boolean {
  return name === "Region is missing";
}

function describe(
  code: Code,
  answer: Answer,
  { action, key }: Request,
  bucket: string,
  thrown: unknown,
): ErrorDetail {
  switch (code) {
    case "not_found":
      return { message: `no object ${key}` };
    case "exists":
      return { message: `object ${key} already there` };
    case "bucket_missing":
      return { message: `no bucket ${bucket}` };
    case "denied":
      return denied(answer, action, key, bucket);
    case "full":
      return { message: `no space left to ${action} ${key}` };
    case "wrong_region":
      return wrongRegion(answer, bucket);
    case "clock_differs":
      return { message: "clock of this machine too far from the server's" };
    case "storage_class":
      return storageClassRefused(answer, key);
    case "invalid_location":
      return {
        message: "s3 location of AWS without a region",
        hint: "Set region of the destination, or AWS_REGION.",
      };
    default:
      return { message: `request to ${action} ${place(key, bucket)}: ${reasonOf(answer, thrown)}` };
  }
}

/** Of an answer its status and name; its text is foreign, and may repeat what we sent. Else what the network did. */
function reasonOf({ status, name }: Answer, thrown: unknown): string {
  if (status !== undefined) return `answered with ${status}${name === "" ? "" : ` (${name})`}`;
  return thrown instanceof Error ? thrown.message || thrown.name : String(thrown);
}

function place(key: string, bucket: string): string {
  return key === "" ? `bucket ${bucket}` : `${key} in bucket ${bucket}`;
}

function denied(
  { name }: Answer,
  action: Request["action"],
  key: string,
  bucket: string,
): ErrorDetail {
  if (name === "CredentialsProviderError") {
    return {
      message: `no credentials for bucket ${bucket}`,
      hint: "Set credentials of the destination, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    };
  }
  if (WRONG_KEY.has(name)) {
    return {
      message: `access key that the server of bucket ${bucket} does not accept (${name})`,
      hint: "Correct access_key and secret_key of the destination.",
    };
  }
  if (EXPIRED.has(name)) {
    return {
      message: `session of the access key for bucket ${bucket} that is over`,
      hint: "Get new credentials with a session_token.",
    };
  }
  return {
    message: `no right to ${action} ${place(key, bucket)}`,
    hint: `Grant this access key ${RIGHTS[action]} in the policy of the user or the bucket.`,
  };
}

function wrongRegion({ region }: Answer, bucket: string): ErrorDetail {
  return {
    message: `bucket ${bucket} in another region${region === undefined ? "" : `, ${region}`}`,
    ...(region === undefined ? {} : { hint: `Set region of the destination to ${region}.` }),
  };
}

function storageClassRefused({ name }: Answer, key: string): ErrorDetail {
  return name === "InvalidObjectState"
    ? {
        message: `object ${key} in a storage class that cannot be read at once`,
        hint: "Bring the object back into an immediate class first, for example by a restore request.",
      }
    : {
        message: "storage class that the server does not have",
        hint: "Correct storage_class of the destination.",
      };
}

function answerOf(thrown: unknown): Answer {
  if (!(thrown instanceof Error)) return { status: undefined, name: "", region: undefined };
  const status = field(field(thrown, "$metadata"), "httpStatusCode");
  const name = thrown.message === "Region is missing" ? thrown.message : nameOf(thrown);
  return {
    status: typeof status === "number" ? status : undefined,
    name,
    region: regionOf(thrown),
  };
}

/** Without a body, as after HEAD, the SDK calls an error by its status or `UnknownError`; those say nothing. */
function nameOf(thrown: Error): string {
  const { name } = thrown;
  const isWord = /^[A-Za-z][A-Za-z.]{0,63}$/.test(name);
  return !isWord || /^(?:Unknown|UnknownError|Error|NotFound)$/.test(name) ? "" : name;
}

function regionOf(thrown: Error): string | undefined {
  return [field(thrown, "Region"), headerOf(thrown, "x-amz-bucket-region")].find(isRegion);
}

function isRegion(text: unknown): text is string {
  return typeof text === "string" && /^[A-Za-z0-9-]{1,40}$/.test(text);
}

function retryAfterOf(thrown: unknown): { readonly retryAfterMs?: number } {
  const retryAfterMs = retryAfterMsOf({ "retry-after": headerOf(thrown, "retry-after") });
  return retryAfterMs === undefined ? {} : { retryAfterMs };
}

function headerOf(thrown: unknown, name: string): string | undefined {
  const header = field(field(field(thrown, "$response"), "headers"), name);
  return typeof header === "string" ? header : undefined;
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
