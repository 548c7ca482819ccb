import { fileURLToPath } from "node:url";
import type { DriverContext, OpenDriver, OpenStoreContext } from "./drivers.ts";
import { objectStoreError } from "./errors.ts";
import { createFsStore } from "./fs.ts";
import { withLimit } from "./limit.ts";
import type { ObjectStore } from "./object-store.ts";
import { attemptUntilDone, withRetry } from "./retry.ts";
import type { RetryOptions } from "./retry.ts";

interface Driver {
  readonly open: OpenDriver;
  readonly retry: Pick<RetryOptions, "deadlineMs" | "firstDelayMs" | "maxDelayMs">;
  /** Calls at once, unless the settings say otherwise. */
  readonly concurrency: number;
}

/** A local disk recovers soon or not at all; the deadline is for network mounts that come back. */
const FS_RETRY = { deadlineMs: 30_000, firstDelayMs: 200, maxDelayMs: 5_000 };
/** A nightly backup outlives a router that starts again, and a server that is upgraded. */
const NETWORK_RETRY = { deadlineMs: 900_000, firstDelayMs: 500, maxDelayMs: 30_000 };
/** Who opens a store waits in front of it. */
const OPENING_DEADLINE_MS = 60_000;
/** Enough to fill a line across a continent with packs of 16 MiB; each holds one in memory. */
const NETWORK_CONCURRENCY = 8;

const FS: Driver = {
  open: async (location, { random }) => createFsStore(folderOf(location), { random }),
  retry: FS_RETRY,
  concurrency: Number.POSITIVE_INFINITY,
};

/** By scheme. The modules of drivers with an SDK are loaded by the first who opens one. */
const DRIVERS: Readonly<Record<string, Driver>> = {
  "file:": FS,
  "s3:": {
    open: async (location, context) => (await import("./open-s3.ts")).openS3(location, context),
    retry: NETWORK_RETRY,
    concurrency: NETWORK_CONCURRENCY,
  },
};

/** `s3:`, `https://`: a scheme, which a path does not begin with. One letter is a drive. */
const SCHEME = /^[a-z][a-z0-9+.-]+:/i;

/**
 * The store that a location names, retries and limits included. Nothing is written yet; a store behind a network is asked
 * what it can do.
 */
export async function openObjectStore(
  location: string,
  context: OpenStoreContext,
): Promise<ObjectStore> {
  const driver = driverOf(location);
  const { clock, random, onRetry, settings } = context;
  const retry = {
    ...driver.retry,
    clock,
    random,
    ...(onRetry === undefined ? {} : { onRetry }),
  };
  const store = await driver.open(location, { ...context, patiently: patience(retry, context) });
  const concurrency = settings?.limits?.concurrency ?? driver.concurrency;
  return withRetry(Number.isFinite(concurrency) ? withLimit(store, concurrency) : store, retry);
}

function patience(retry: RetryOptions, { signal }: OpenStoreContext): DriverContext["patiently"] {
  const deadlineMs = Math.min(retry.deadlineMs, OPENING_DEADLINE_MS);
  return (ask) => attemptUntilDone({ ...retry, deadlineMs }, signal, () => ask(signal));
}

function driverOf(location: string): Driver {
  const scheme = SCHEME.exec(location)?.[0].toLowerCase();
  if (location.trim() === "") throw invalid("empty location of a store");
  if (scheme === undefined) return FS;
  const driver = Object.hasOwn(DRIVERS, scheme) ? DRIVERS[scheme] : undefined;
  if (driver === undefined) {
    throw invalid(`location of a store with the unknown scheme ${scheme}`);
  }
  return driver;
}

function folderOf(location: string): string {
  if (!SCHEME.test(location)) return location;
  try {
    return fileURLToPath(location);
  } catch (thrown) {
    throw invalid("file: location that names no local folder", thrown);
  }
}

/** The location itself is not shown: other schemes carry credentials in it. */
function invalid(message: string, cause?: unknown): Error {
  return objectStoreError("invalid_location", { message, cause });
}
