import { z } from "zod";
import type { Bytes } from "../kernel/index.ts";
import { manifestError } from "./errors.ts";
import { LIMITED_MANIFEST_FORMAT, MANIFEST_FORMAT } from "./manifest.ts";
import type { Manifest } from "./manifest.ts";
import { projectManifestSchema } from "./project.ts";

/**
 * `manifest.json` to and from bytes. Reading is strict: an unknown, missing or misstated field is `manifest.damaged`,
 * since a restore acts on every one of them.
 */

const count = z.string().regex(/^(0|[1-9][0-9]{0,38})$/, "not a count");
const integer = z.string().regex(/^-?(0|[1-9][0-9]{0,38})$/, "not an integer");
const hash = z.string().regex(/^[0-9a-f]{64}$/, "not 64 hex digits");
const time = z.iso.datetime({ offset: true });
const oid = z.int().min(0).max(4_294_967_295);
const name = z.string().min(1);

const storedFileShape = {
  path: name,
  sizeBytes: z.int().min(0),
  sha256: hash,
};

const storedFile = z.strictObject(storedFileShape);

const role = z.strictObject({
  name,
  superuser: z.boolean(),
  inherit: z.boolean(),
  createRole: z.boolean(),
  createDb: z.boolean(),
  canLogin: z.boolean(),
  replication: z.boolean(),
  bypassRls: z.boolean(),
  connectionLimit: z.int(),
  validUntil: z.string().exactOptional(),
  memberOf: z.array(
    z.strictObject({
      role: name,
      adminOption: z.boolean(),
      inheritOption: z.boolean().exactOptional(),
      setOption: z.boolean().exactOptional(),
      grantor: name,
    }),
  ),
  settings: z.array(
    z.strictObject({ database: name.exactOptional(), setting: z.string().regex(/^[^=]+=/s) }),
  ),
  comment: z.string().exactOptional(),
});

const table = z.strictObject({
  schema: name,
  name,
  format: z.enum(["text", "binary"]),
  unlogged: z.boolean(),
  condition: z.string().exactOptional(),
  partitionOf: z.strictObject({ schema: name, name }).exactOptional(),
  columns: z.array(z.strictObject({ name, type: name })),
  rows: count,
  rowHash: hash,
  parts: z.array(z.strictObject({ ...storedFileShape, rows: count, rowHash: hash })),
});

const server = z.strictObject({
  systemIdentifier: count.exactOptional(),
  databaseOid: oid,
  databaseName: name,
  versionNum: z.int().min(90_000),
  version: name,
  encoding: name,
  collate: name,
  ctype: name,
  localeProvider: z.enum(["libc", "icu", "builtin"]),
  icuLocale: z.string().exactOptional(),
  owner: name,
  settings: z.array(z.string().regex(/^[^=]+=/s)),
  acl: z.string().exactOptional(),
  comment: z.string().exactOptional(),
  connectionLimit: z.int().exactOptional(),
});

const namedTable = { schema: name, name };

const database = z.strictObject({
  source: name,
  server,
  snapshot: z.strictObject({
    pgSnapshot: name,
    takenAt: time,
    insertLsnAfter: z
      .string()
      .regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/)
      .exactOptional(),
  }),
  clientTools: z.strictObject({ pgDump: name }),
  platform: z.exactOptional(z.enum(["supabase"])),
  schema: storedFile,
  catalog: storedFile.exactOptional(),
  roles: z.array(role),
  tables: z.array(table),
  sequences: z.array(
    z.strictObject({ schema: name, name, lastValue: integer, isCalled: z.boolean() }),
  ),
  largeObjects: z.array(
    z.strictObject({
      ...storedFileShape,
      oid,
      owner: name,
      acl: z.string().exactOptional(),
      comment: z.string().exactOptional(),
    }),
  ),
  materializedViews: z.array(
    z.strictObject({ schema: name, name, populated: z.boolean(), order: z.int().min(0) }),
  ),
  leftOut: z.array(z.strictObject({ object: name, reason: name })),
  vault: z.exactOptional(
    z.strictObject({
      file: storedFile,
      secrets: z.array(
        z.strictObject({ id: z.uuid(), name: z.string().exactOptional(), digest: hash }),
      ),
    }),
  ),
  leftTo: z
    .array(
      z.strictObject({ ...namedTable, plan: name, tables: z.array(z.strictObject(namedTable)) }),
    )
    .exactOptional(),
});

const limitedDatabase = database.extend({
  tables: z.array(
    table.extend({
      exports: z
        .array(z.strictObject({ ...storedFileShape, format: z.enum(["csv", "jsonl"]) }))
        .exactOptional(),
    }),
  ),
  limitedTo: z.strictObject({
    named: z.array(z.strictObject({ ...namedTable, tables: z.array(z.strictObject(namedTable)) })),
    foreignKeys: z.array(z.strictObject({ schema: name, table: name, name })),
  }),
});

const head = {
  plan: name,
  startedAt: time,
  completedAt: time,
  tool: z.strictObject({ name: z.literal("sparekeep"), version: name }),
  rowHashKey: hash,
  captures: z.literal("schema").exactOptional(),
  project: projectManifestSchema.exactOptional(),
};

const manifestSchema = z.strictObject({ format: z.literal(MANIFEST_FORMAT), ...head, database });
const limitedManifestSchema = z.strictObject({
  format: z.literal(LIMITED_MANIFEST_FORMAT),
  ...head,
  database: limitedDatabase,
});

const formatLine = z.looseObject({ format: z.string() });

export function formatManifest(manifest: Manifest): Bytes {
  return Buffer.from(`${JSON.stringify(manifest, null, 1)}\n`, "utf8");
}

export function parseManifest(bytes: Bytes): Manifest {
  const json = parseJson(bytes);
  const named = formatLine.safeParse(json);
  const format = named.success ? named.data.format : MANIFEST_FORMAT;
  if (named.success && format !== MANIFEST_FORMAT && format !== LIMITED_MANIFEST_FORMAT) {
    throw manifestError("unsupported", {
      message: `manifest format ${JSON.stringify(named.data.format.slice(0, 80))}`,
      subject: { expected: `${MANIFEST_FORMAT} or ${LIMITED_MANIFEST_FORMAT}` },
    });
  }
  const schema = format === LIMITED_MANIFEST_FORMAT ? limitedManifestSchema : manifestSchema;
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue === undefined ? "" : issue.path.map(String).join(".");
  throw manifestError("damaged", {
    message: `manifest.json with a wrong value at ${where === "" ? "its root" : where}`,
    subject: { reason: issue?.message ?? "unknown" },
    cause: parsed.error,
  });
}

function parseJson(bytes: Bytes): unknown {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    const json: unknown = JSON.parse(text);
    return json;
  } catch (cause) {
    throw manifestError("damaged", { message: "manifest.json that is not JSON", cause });
  }
}
