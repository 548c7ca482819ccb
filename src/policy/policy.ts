import { z } from "zod";
import { parseByteRate, parseSpan } from "./duration.ts";
import type { CalendarSpan } from "./duration.ts";
import { exceptSchema } from "./except.ts";
import type { ExceptedTable } from "./except.ts";
import { gpgRecipientProblem } from "./gpg-recipient.ts";
import { placesSchema } from "./git-target.ts";
import type { GitTarget } from "./git-target.ts";
import { guardsSchema } from "./guards.ts";
import type { Guards } from "./guards.ts";
import { readBy, refuse } from "./read-by.ts";
import { recipientProblem } from "./recipient.ts";
import { connection, ENV_NAME, password } from "./reference.ts";
import type { ConnectionReference, SecretReference } from "./reference.ts";
import { capture } from "./capture.ts";
import { sourceLimits } from "./source-limits.ts";
import type { SourceLimits } from "./source-limits.ts";
import type { TableName } from "./table-name.ts";

/**
 * The schema of the policy file, version 1. Only what this version carries out is a key here; everything else is an
 * unknown key (docs/spec/policy.md says how it grows).
 */

const NAME = /^[a-z][a-z0-9-]{0,62}$/;

const name = z.string().regex(NAME, "a name of small letters, digits and dashes");

const span = readBy("no length of time", 'Write for example "30 days" or "1 year".', parseSpan);
const byteRate = readBy("no rate", 'Write for example "10 MiB/s".', parseByteRate);
const timezone = readBy("no time zone", 'Write for example "Africa/Johannesburg".', (text) =>
  isTimeZone(text) ? text : undefined,
);

function isTimeZone(text: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: text }).resolvedOptions().timeZone !== "";
  } catch {
    // The one thing that Intl throws here: a name that it does not know.
    return false;
  }
}

const count = z.int().min(1).max(100_000);
const keepRules = z.strictObject({
  last: count.optional(),
  hourly: count.optional(),
  daily: count.optional(),
  weekly: count.optional(),
  monthly: count.optional(),
  yearly: count.optional(),
  within: span.optional(),
  tags: z.array(z.string().min(1)).min(1).optional(),
});
/** A length of time alone says `within`. */
const keep = z.preprocess(
  (value) => (typeof value === "string" ? { within: value } : value),
  keepRules.refine((rules) => Object.keys(rules).length > 0, {
    error: "a rule that keeps nothing",
    params: { fix: 'Write for example "30 days".' },
  }),
);

const tls = z.strictObject({
  min: z.enum(["1.2", "1.3"]).optional(),
  ca: z.string().min(1).optional(),
});
const credentials = z.strictObject({
  access_key: password.optional(),
  secret_key: password.optional(),
  session_token: password.optional(),
  service_account: password.optional(),
  username: z.string().min(1).optional(),
  password: password.optional(),
});
const limits = z.strictObject({
  upload: byteRate.optional(),
  download: byteRate.optional(),
  requests_per_second: count.optional(),
  concurrency: z.int().min(1).max(256).optional(),
});

/** Public keys of age. A secret one is refused without being repeated. */
const owner = z.unknown().transform((value, context): string => {
  const problem = recipientProblem(value);
  if (problem === undefined && typeof value === "string") return value;
  return refuse(context, value, problem?.message ?? "no recipient", problem?.fix ?? "");
});
const owners = z
  .array(owner)
  .min(1)
  .refine((list) => new Set(list).size === list.length, {
    error: "an owner who stands twice",
    params: { fix: "Remove one of the two." },
  });

/** Compared with the keys in the files named, and never given to gpg as they stand here. */
const gpgRecipient = z.unknown().transform((value, context): string => {
  const problem = gpgRecipientProblem(value);
  if (problem === undefined && typeof value === "string") return value;
  return refuse(context, value, problem?.message ?? "no recipient", problem?.fix ?? "");
});
const encrypt = z.strictObject({
  gpg: z.array(gpgRecipient).min(1).optional(),
  keys: z.array(z.string().min(1)).min(1).optional(),
  passphrase: password.optional(),
});

const source = z.strictObject({
  kind: z.enum(["postgres", "supabase"]),
  connection,
  project: z.string().optional(),
  management_token: password.optional(),
  management_api: z.string().min(1).optional(),
  limits: sourceLimits.optional(),
  vault: z.literal("decrypted").optional(),
});
const provider = z.strictObject({
  expect: z.strictObject({
    one_of: z.array(z.enum(["pitr", "daily_backup"])).min(1),
    window: span.optional(),
    newest_within: span.optional(),
  }),
});
/** As the platform and its applications name secrets. */
const outsideName = z.string().regex(ENV_NAME, "a name of letters, digits and underscores");
/** A project as a target is given like one as a source. */
const target = source;
const destination = z.strictObject({
  url: z.string().min(1),
  class: name.optional(),
  password: password.optional(),
  files: z.literal(true).optional(),
  manifests: z.string().optional(),
  region: z.string().min(1).optional(),
  endpoint: z.string().min(1).optional(),
  path_style: z.boolean().optional(),
  storage_class: z.string().min(1).optional(),
  encryption: z
    .union([z.literal("aes256"), z.strictObject({ kms: z.string().min(1).optional() })])
    .optional(),
  credentials: credentials.optional(),
  tls: tls.optional(),
  limits: limits.optional(),
  lock: z.strictObject({ mode: z.enum(["governance", "compliance"]), for: span }).optional(),
  copies: z.array(z.string()).min(1).optional(),
  owners: owners.optional(),
  beside: z.string().min(1).optional(),
  check: z.strictObject({ everything_every: span }).optional(),
});
const plan = z.strictObject({
  source: z.string(),
  capture,
  except: exceptSchema.optional(),
  to: placesSchema,
  keep: keep.optional(),
  guards: guardsSchema.optional(),
  encrypt: encrypt.optional(),
  name: z.string().optional(),
});

export const policySchema = z.strictObject({
  sparekeep: z.literal(1),
  name,
  state: z.string().min(1).optional(),
  timezone: timezone.optional(),
  tls: tls.optional(),
  sources: z.record(name, source),
  destinations: z.record(name, destination),
  plans: z.record(name, plan),
  targets: z.record(name, target).optional(),
  outside: z.record(outsideName, password).optional(),
  provider: z.record(name, provider).optional(),
});

/** What `forget` keeps of a plan; rules add up. docs/spec/retention.md */
export interface KeepRules {
  readonly last?: number | undefined;
  readonly hourly?: number | undefined;
  readonly daily?: number | undefined;
  readonly weekly?: number | undefined;
  readonly monthly?: number | undefined;
  readonly yearly?: number | undefined;
  readonly within?: CalendarSpan | undefined;
  readonly tags?: readonly string[] | undefined;
}

export interface TlsPolicy {
  readonly min?: "1.2" | "1.3" | undefined;
  /** Path of a PEM file. */
  readonly ca?: string | undefined;
}

export interface Credentials {
  readonly access_key?: SecretReference | undefined;
  readonly secret_key?: SecretReference | undefined;
  readonly session_token?: SecretReference | undefined;
  readonly service_account?: SecretReference | undefined;
  readonly username?: string | undefined;
  readonly password?: SecretReference | undefined;
}

export interface Source {
  readonly kind: "postgres" | "supabase";
  readonly connection: ConnectionReference;
  /** Of `supabase`, always there: the project's reference, twenty small letters. */
  readonly project?: string | undefined;
  /** Of `supabase`: an access token of the Management API. */
  readonly management_token?: SecretReference | undefined;
  /** Where the Management API is, if not at its usual address. */
  readonly management_api?: string | undefined;
  readonly limits?: SourceLimits | undefined;
  /** Secrets of Vault are stored in the repository as their own view opens them; said in words, since they are plain there. */
  readonly vault?: "decrypted" | undefined;
}

/** Where a restore, and with `kind: supabase` a configuration, may be put. */
export type Target = Source;

/** Backups that the provider makes: not ours, but watched. */
export interface ProviderPolicy {
  readonly expect: {
    readonly one_of: readonly ("pitr" | "daily_backup")[];
    /** How far back they reach. */
    readonly window?: CalendarSpan | undefined;
    readonly newest_within?: CalendarSpan | undefined;
  };
}

export interface Destination {
  /** A folder or its `file:` URL, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `rest:https://HOST/PATH/`. */
  readonly url: string;
  /** A trust boundary: secrets of one class open nothing of another. */
  readonly class?: string | undefined;
  /** Of a repository; plain files have none. */
  readonly password?: SecretReference | undefined;
  /** Plain files under names of their own, and no repository. */
  readonly files?: true | undefined;
  /** Of `files`: the repository that keeps a sealed record of each file. */
  readonly manifests?: string | undefined;
  readonly region?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly path_style?: boolean | undefined;
  /** Of data packs alone. */
  readonly storage_class?: string | undefined;
  readonly encryption?: "aes256" | { readonly kms?: string | undefined } | undefined;
  readonly credentials?: Credentials | undefined;
  /** The policy's own where the destination names none. */
  readonly tls?: TlsPolicy | undefined;
  readonly limits?:
    | {
        readonly upload?: number | undefined;
        readonly download?: number | undefined;
        readonly requests_per_second?: number | undefined;
        readonly concurrency?: number | undefined;
      }
    | undefined;
  /** Object Lock of each recovery point, from its end on. */
  readonly lock?:
    | { readonly mode: "governance" | "compliance"; readonly for: CalendarSpan }
    | undefined;
  /** Destinations that hold the same points, pulled with their own credentials. */
  readonly copies?: readonly string[] | undefined;
  /** `age` recipients for whom the repository's password is wrapped beside it. */
  readonly owners?: readonly string[] | undefined;
  /** Of `rest:`, whose protocol has no folder for our records: a folder, or a `file:` URL. */
  readonly beside?: string | undefined;
  readonly check?: { readonly everything_every: CalendarSpan } | undefined;
}

export type Capture = "everything" | "schema" | CaptureTables;

/** Rows of these tables alone; with formats also for other programs. */
export interface CaptureTables {
  readonly tables: readonly TableName[];
  readonly formats: readonly ("csv" | "json")[];
}

export interface RepositoryDestination extends Destination {
  readonly password: SecretReference;
  readonly files?: undefined;
  readonly manifests?: undefined;
}

export interface FilesDestination extends Destination {
  readonly password?: undefined;
  readonly files: true;
}

export type Plan = PointPlan | DumpPlan;

/** For whom a dump is encrypted. docs/spec/dump.md */
export type Encryption =
  | {
      /** Fingerprints, long key ids or addresses. */
      readonly gpg: readonly string[];
      /** Files of exported public keys: the only keys that count. */
      readonly keys: readonly string[];
    }
  | { readonly passphrase: SecretReference };

/** One portable file a run: `pg_dump -Fc`, encrypted. */
export interface DumpPlan {
  readonly source: string;
  readonly capture: "pg_dump";
  readonly to: string;
  readonly encrypt: Encryption;
  /** `name:` in the file: a template with `{date}`, and perhaps `{time}`. */
  readonly file: string;
  readonly keep?: undefined;
}

export interface PointPlan {
  readonly source: string;
  readonly capture: Capture;
  /** Of everything: tables whose rows are left to other plans. */
  readonly except?: readonly ExceptedTable[] | undefined;
  /** The destination of its recovery points. */
  readonly to: string;
  /** Of `capture: schema`: where the definitions are committed as well. */
  readonly git?: GitTarget | undefined;
  /** Without it nothing of the plan is ever forgotten. */
  readonly keep?: KeepRules | undefined;
  /** Every guard is on where nothing is said of it. */
  readonly guards?: Guards | undefined;
}

export interface Policy {
  readonly name: string;
  /** Folder of the audit log, where it is not to lie below the user's state folder. */
  readonly state?: string;
  /** Of retention's days, weeks, months and years; UTC where none is named. */
  readonly timezone?: string;
  readonly sources: Readonly<Record<string, Source>>;
  readonly destinations: Readonly<Record<string, Destination>>;
  readonly plans: Readonly<Record<string, Plan>>;
  readonly targets: Readonly<Record<string, Target>>;
  /** Where secrets are kept that no API gives back, by their names. */
  readonly outside?: Readonly<Record<string, SecretReference>>;
  /** By name of a source. */
  readonly provider?: Readonly<Record<string, ProviderPolicy>>;
}
