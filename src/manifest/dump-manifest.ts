/** What lies beside a portable dump and says what it is: docs/spec/dump.md §manifest. Pure. */
import type { Bytes } from "../kernel/index.ts";
import { manifestError } from "./errors.ts";

export const DUMP_MANIFEST_FORMAT = "sparekeep dump 1";
/** Of the manifest's name: the dump's, and this. */
export const DUMP_MANIFEST_SUFFIX = ".manifest.json";

export interface DumpManifest {
  readonly format: typeof DUMP_MANIFEST_FORMAT;
  /** The name under which the dump lies. */
  readonly file: string;
  readonly plan: string;
  readonly source: string;
  readonly startedAt: string;
  readonly completedAt: string;
  readonly tool: { readonly name: string; readonly version: string };
  readonly server: {
    readonly version: string;
    readonly versionNum: number;
    readonly database: string;
    readonly encoding: string;
    readonly systemIdentifier?: string;
  };
  /** `pg_dump (PostgreSQL) 15.20` */
  readonly pgDump: string;
  readonly snapshot: { readonly pgSnapshot: string; readonly takenAt: string };
  readonly plaintext: FileDigest;
  readonly ciphertext: FileDigest;
  readonly encryption: {
    readonly cipher: "AES256";
    readonly integrity: "mdc" | "aead";
    /** Whoever holds one of these opens the file. */
    readonly recipients: readonly {
      readonly name: string;
      readonly fingerprint: string;
      readonly keyIds: readonly string[];
    }[];
    readonly passphrases: number;
  };
  /** Counted by the server with count(*) under the snapshot that pg_dump read. */
  readonly tables: readonly {
    readonly schema: string;
    readonly name: string;
    readonly rows: string;
  }[];
  readonly roles: readonly string[];
  /** Of a platform's own, what the role could not read: not in the file. Absent where there is none. */
  readonly leftOut?: readonly { readonly object: string; readonly reason: string }[];
  /** What pg_dump said though it ended well. */
  readonly warnings: readonly string[];
  readonly verified: {
    /** `pg_restore -f -` read the plaintext to its end on its way. */
    readonly archive: "pg_restore -f -";
    /** When the ciphertext was read back from the store, and its hash was this one's. */
    readonly readBackAt: string;
  };
}

interface FileDigest {
  readonly sizeBytes: number;
  readonly sha256: string;
}

export function formatDumpManifest(manifest: DumpManifest): Bytes {
  return Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
}

/** Written by whoever may write beside the dump: every part that is used is looked at. */
export function parseDumpManifest(bytes: Bytes, file: string): DumpManifest {
  const damaged = (what: string): Error =>
    manifestError("dump_damaged", {
      message: `manifest of ${file} ${what}`,
      subject: { file },
    });
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    // Its text is not repeated: it may be anything.
    throw damaged("that is no JSON");
  }
  const format: unknown = isRecord(value) ? value["format"] : undefined;
  if (typeof format === "string" && /^sparekeep dump \d+$/.test(format)) {
    if (format !== DUMP_MANIFEST_FORMAT) {
      throw manifestError("unsupported", {
        message: `manifest of ${file} in the format ${JSON.stringify(format)}`,
        hint: "Use the version of Sparekeep that wrote the dump, or a newer one.",
        subject: { file },
      });
    }
  }
  if (!isDumpManifest(value)) throw damaged("that misses or misstates what it must hold");
  if (value.file !== file) throw damaged("that is another file's");
  return value;
}

type Check = (value: unknown) => boolean;

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const text: Check = (value) => typeof value === "string" && value.length <= 10_000;
const count: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
const matching =
  (pattern: RegExp): Check =>
  (value) =>
    typeof value === "string" && pattern.test(value);
const time = matching(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/);
const listOf =
  (item: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(item);
const record =
  (fields: Readonly<Record<string, Check>>): Check =>
  (value) =>
    isRecord(value) && Object.entries(fields).every(([key, check]) => check(value[key]));
const maybe =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const oneOf =
  (...values: readonly string[]): Check =>
  (value) =>
    typeof value === "string" && values.includes(value);

const digest = record({ sizeBytes: count, sha256: matching(/^[0-9a-f]{64}$/) });
const MANIFEST = record({
  format: oneOf(DUMP_MANIFEST_FORMAT),
  file: matching(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,240}$/),
  plan: text,
  source: text,
  startedAt: time,
  completedAt: time,
  tool: record({ name: text, version: text }),
  server: record({
    version: text,
    versionNum: count,
    database: text,
    encoding: matching(/^[A-Z0-9_]{1,30}$/i),
    systemIdentifier: maybe(text),
  }),
  pgDump: text,
  snapshot: record({ pgSnapshot: text, takenAt: time }),
  plaintext: digest,
  ciphertext: digest,
  encryption: record({
    cipher: oneOf("AES256"),
    integrity: oneOf("mdc", "aead"),
    recipients: listOf(
      record({
        name: text,
        fingerprint: matching(/^[0-9A-F]{40,64}$/),
        keyIds: listOf(matching(/^[0-9A-F]{16}$/)),
      }),
    ),
    passphrases: count,
  }),
  tables: listOf(record({ schema: text, name: text, rows: matching(/^\d{1,19}$/) })),
  roles: listOf(text),
  leftOut: maybe(listOf(record({ object: text, reason: text }))),
  warnings: listOf(text),
  verified: record({ archive: oneOf("pg_restore -f -"), readBackAt: time }),
});

function isDumpManifest(value: unknown): value is DumpManifest {
  return MANIFEST(value);
}
