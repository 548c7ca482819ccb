import { createHash } from "node:crypto";

export const AUDIT_VERSION = 1;

/** What stands before the first record. */
export const GENESIS = "0".repeat(64);

export type AccessAction =
  | "init"
  | "backup"
  | "guard"
  | "drill"
  | "dumps"
  | "snapshots"
  | "ls"
  | "dump"
  | "export"
  | "recover-versions"
  | "restore"
  | "release"
  | "check"
  | "forget"
  | "hold"
  | "accept"
  | "diff"
  | "prune"
  | "copy"
  | "copies"
  | "estimate"
  | "rewrite"
  | "rekey"
  | "key"
  | "repair"
  | "provider"
  | "project"
  | "recover"
  | "status"
  | "doctor";

/** What is about to happen, and who asks for it. */
export interface Access {
  readonly at: Date;
  readonly actor: string;
  readonly host: string;
  readonly action: AccessAction;
  /** Ids and paths, never secrets. */
  readonly subject: Readonly<Record<string, string>>;
}

/** Bytes at the end of the log that a crash left unfinished; the record after them names them, so they stay evidence. */
export interface TornTail {
  readonly sizeBytes: number;
  readonly sha256: string;
}

export interface AuditRecord {
  readonly v: typeof AUDIT_VERSION;
  readonly seq: number;
  readonly at: string;
  readonly actor: string;
  readonly host: string;
  readonly action: string;
  readonly subject: Readonly<Record<string, string>>;
  readonly torn?: TornTail;
  readonly previous: string;
  readonly hash: string;
}

export interface ChainHead {
  readonly seq: number;
  readonly hash: string;
}

export const EMPTY_HEAD: ChainHead = { seq: 0, hash: GENESIS };

const MAX_TEXT_CHARACTERS = 1000;

/** The record that follows `head`. */
export function nextRecord(head: ChainHead, access: Access, torn?: TornTail): AuditRecord {
  const body = {
    v: AUDIT_VERSION,
    seq: head.seq + 1,
    at: access.at.toISOString(),
    actor: bounded(access.actor),
    host: bounded(access.host),
    action: access.action,
    subject: Object.fromEntries(
      Object.entries(access.subject).map(([key, value]) => [key, bounded(value)]),
    ),
    ...(torn === undefined ? {} : { torn }),
    previous: head.hash,
  } as const;
  return { ...body, hash: hashOf(body) };
}

/** One line of the log, its newline included. */
export function formatRecord(record: AuditRecord): string {
  return `${canonicalJson(record)}\n`;
}

/** `undefined` when the line is no record, or not the one whose hash it states. */
export function parseRecord(line: string): AuditRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    // Not JSON is an answer here: the caller decides whether that is a torn line or a broken chain.
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const { hash, ...body } = value;
  return hashOf(body) === hash && canonicalJson(value) === line ? value : undefined;
}

export function tornTail(bytes: Uint8Array): TornTail {
  return { sizeBytes: bytes.byteLength, sha256: createHash("sha256").update(bytes).digest("hex") };
}

function hashOf(body: object): string {
  return createHash("sha256").update(canonicalJson(body)).digest("hex");
}

/** Keys sorted by UTF-16 code units, no white space, strings as JSON.stringify escapes them. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(",")}}`;
  }
  return JSON.stringify(value);
}

/** A record stays well below the part of the log that is read to find the last one. */
function bounded(text: string): string {
  const wellFormed = text.toWellFormed();
  if (wellFormed.length <= MAX_TEXT_CHARACTERS) return wellFormed;
  const digest = createHash("sha256").update(text).digest("hex");
  return `${wellFormed.slice(0, MAX_TEXT_CHARACTERS).toWellFormed()}… sha256:${digest}`;
}

const HEX_64 = /^[0-9a-f]{64}$/;

function isRecord(value: unknown): value is AuditRecord {
  if (typeof value !== "object" || value === null) return false;
  const field = (name: string): unknown => Reflect.get(value, name);
  const texts = ["at", "actor", "host", "action"].every((name) => typeof field(name) === "string");
  const hashes = ["previous", "hash"].every((name) => HEX_64.test(String(field(name))));
  const seq = field("seq");
  const torn = field("torn");
  return (
    field("v") === AUDIT_VERSION &&
    typeof seq === "number" &&
    Number.isSafeInteger(seq) &&
    seq > 0 &&
    texts &&
    hashes &&
    isTextRecord(field("subject")) &&
    (torn === undefined || isTorn(torn))
  );
}

function isTextRecord(value: unknown): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    Object.values(value).every((item) => typeof item === "string")
  );
}

function isTorn(value: unknown): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    Number.isSafeInteger(Reflect.get(value, "sizeBytes")) &&
    HEX_64.test(String(Reflect.get(value, "sha256")))
  );
}
