import {
  GetObjectRetentionCommand,
  ListObjectVersionsCommand,
  PutObjectRetentionCommand,
} from "@aws-sdk/client-s3";
import type {
  DeleteMarkerEntry,
  ListObjectVersionsCommandOutput,
  ObjectVersion as FoundVersion,
} from "@aws-sdk/client-s3";
import { AppError, throwIfAborted } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import { parseKey, parsePrefix } from "./keys.ts";
import type {
  ObjectLock,
  ObjectVersion,
  ObjectVersions,
  Retention,
  WaitOptions,
} from "./object-store.ts";
import { ask, waits } from "./s3-client.ts";
import type { S3Access } from "./s3-client.ts";
import { decoded, getObject, getObjectRange, nextPlace, ownKey, statOf } from "./s3-read.ts";

export function objectLockOf(access: S3Access): ObjectLock {
  return {
    retentionOf: async (key, wait) => {
      parseKey(key);
      return readRetention(access, key, wait);
    },
    extend: async (key, retention, wait) => {
      parseKey(key);
      await extendRetention(access, key, retention, wait);
    },
  };
}

async function readRetention(
  access: S3Access,
  key: string,
  wait: WaitOptions | undefined,
): Promise<Retention | undefined> {
  throwIfAborted(wait?.signal);
  const command = new GetObjectRetentionCommand({
    Bucket: access.bucket,
    Key: access.prefix + key,
  });
  try {
    const { Retention: found } = await ask(access, { action: "read the lock of", key }, () =>
      access.client.send(command, waits(wait?.signal)),
    );
    const mode = found?.Mode;
    if (mode === undefined || found?.RetainUntilDate === undefined) return undefined;
    return {
      mode: mode === "COMPLIANCE" ? "compliance" : "governance",
      until: found.RetainUntilDate,
    };
  } catch (thrown) {
    if (carriesNone(thrown)) return undefined;
    throw thrown;
  }
}

const NO_LOCK = new Set(["NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError"]);

/** How servers say that an object is there and carries no lock. */
function carriesNone(thrown: unknown): boolean {
  if (!(thrown instanceof AppError)) return false;
  const { answer, status } = thrown.subject;
  if (answer === "InvalidRequest") return status === 400;
  return NO_LOCK.has(String(answer));
}

/**
 * Reads, writes, reads back. Two who extend at once: the store itself refuses to shorten a lock without the right to
 * bypass it, and who has that right reads back what is too short and tries again.
 */
async function extendRetention(
  access: S3Access,
  key: string,
  wanted: Retention,
  wait: WaitOptions | undefined,
): Promise<void> {
  const before = await readRetention(access, key, wait);
  if (covers(before, wanted)) return;
  const until = wholeSeconds(later(before?.until, wanted.until));
  const mode = before?.mode === "compliance" ? "compliance" : wanted.mode;
  // A change of mode takes the right to bypass, also upwards.
  const raises = before?.mode === "governance" && mode === "compliance";
  const command = new PutObjectRetentionCommand({
    Bucket: access.bucket,
    Key: access.prefix + key,
    ...(raises ? { BypassGovernanceRetention: true } : {}),
    Retention: {
      Mode: mode === "compliance" ? "COMPLIANCE" : "GOVERNANCE",
      RetainUntilDate: until,
    },
  });
  await ask(access, { action: "lock", key }, () =>
    access.client.send(command, waits(wait?.signal)),
  );
  const after = await readRetention(access, key, wait);
  if (covers(after, wanted)) return;
  throw objectStoreError("unavailable", {
    message: `lock of ${key} until ${after?.until.toISOString() ?? "never"} where ${wanted.until.toISOString()} was set`,
    subject: { key },
  });
}

function covers(found: Retention | undefined, wanted: Retention): boolean {
  if (found === undefined || found.until < wanted.until) return false;
  return found.mode === "compliance" || wanted.mode === "governance";
}

/** Some servers keep whole seconds; rounding down would be a shorter lock. */
function wholeSeconds(date: Date): Date {
  return new Date(Math.ceil(date.getTime() / 1000) * 1000);
}

function later(a: Date | undefined, b: Date): Date {
  return a !== undefined && a > b ? a : b;
}

export function objectVersionsOf(access: S3Access): ObjectVersions {
  const wanted = (key: string, version: string, wait: WaitOptions | undefined) => {
    throwIfAborted(wait?.signal);
    parseKey(key);
    return { key, version, signal: wait?.signal };
  };
  return {
    list: (prefix, wait) => listVersions(access, prefix, wait?.signal),
    get: async (key, version, wait) => getObject(access, wanted(key, version, wait)),
    getRange: async (key, version, range, wait) =>
      getObjectRange(access, wanted(key, version, wait), range),
  };
}

interface VersionMarker {
  readonly key: string;
  readonly version: string | undefined;
}

async function* listVersions(
  access: S3Access,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncIterable<ObjectVersion> {
  parsePrefix(prefix);
  // A page lists objects and marks of removal apart, and one key may be cut between two pages: given out key by key,
  // newest first.
  let open: DatedVersion[] = [];
  for await (const page of versionPages(access, prefix, signal)) {
    const all = [...open, ...page].sort(byKeyNewestFirst);
    const last = all.at(-1)?.version.key;
    open = all.filter(({ version }) => version.key === last);
    yield* all.slice(0, all.length - open.length).map(({ version }) => version);
    throwIfAborted(signal);
  }
  yield* open.map(({ version }) => version);
}

async function* versionPages(
  access: S3Access,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncIterable<DatedVersion[]> {
  let marker: VersionMarker | undefined;
  let place: string | undefined;
  do {
    throwIfAborted(signal);
    const command = new ListObjectVersionsCommand({
      Bucket: access.bucket,
      Prefix: access.prefix + prefix,
      EncodingType: "url",
      ...(marker === undefined ? {} : { KeyMarker: marker.key }),
      ...(marker?.version === undefined ? {} : { VersionIdMarker: marker.version }),
    });
    const page = await ask(access, { action: "list versions of", key: prefix }, () =>
      access.client.send(command, waits(signal)),
    );
    const found = (page.Versions ?? []).flatMap((version) =>
      versionOf(access, version, version.Size),
    );
    const marks = (page.DeleteMarkers ?? []).flatMap((mark) => versionOf(access, mark, undefined));
    yield [...found, ...marks];
    place = nextPlace(page.IsTruncated, placeOf(page), place, prefix);
    marker = place === undefined ? undefined : markerOf(page);
  } while (marker !== undefined);
}

function placeOf(page: ListObjectVersionsCommandOutput): string | undefined {
  const { NextKeyMarker: key, NextVersionIdMarker: version = "" } = page;
  return key === undefined || key === "" ? undefined : `${key}\n${version}`;
}

/**
 * Some servers encode the key that a page ends at as they encode the others, some do not. It is the last one of the page,
 * so the page itself tells; only a key of others can make a difference.
 */
function markerOf(page: ListObjectVersionsCommandOutput): VersionMarker {
  const { NextKeyMarker: text = "", NextVersionIdMarker: version } = page;
  const listed = new Set(
    [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])].map(({ Key: key = "" }) =>
      decoded(key),
    ),
  );
  const possible = [decoded(text), text].filter((key) => listed.has(key));
  const [last = decoded(text)] = possible.sort((a, b) => Buffer.from(b).compare(Buffer.from(a)));
  return { key: last, version };
}

function versionOf(
  access: S3Access,
  found: FoundVersion | DeleteMarkerEntry,
  sizeBytes: number | undefined,
): DatedVersion[] {
  const key = ownKey(access, found.Key);
  if (key === undefined) return [];
  const removed = !("Size" in found);
  if (found.VersionId === undefined) {
    throw objectStoreError("unavailable", { message: `version of ${key} without its name` });
  }
  const version = {
    ...statOf(key, removed ? 0 : sizeBytes, found.LastModified),
    version: found.VersionId,
    newest: found.IsLatest === true,
    removed,
  };
  return [{ version, exactMs: found.LastModified?.getTime() ?? 0 }];
}

interface DatedVersion {
  readonly version: ObjectVersion;
  /** As listed, which may be finer than what a version shows. */
  readonly exactMs: number;
}

/** Where the dates are the same, the order that the store listed them in is kept. */
function byKeyNewestFirst(a: DatedVersion, b: DatedVersion): number {
  if (a.version.key !== b.version.key) return a.version.key < b.version.key ? -1 : 1;
  if (a.version.newest !== b.version.newest) return a.version.newest ? -1 : 1;
  return b.exactMs - a.exactMs;
}
