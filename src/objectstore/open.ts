import { fileURLToPath } from "node:url";
import type { DriverContext, OpenDriver, OpenStoreContext } from "./drivers.ts";
import { objectStoreError } from "./errors.ts";
import { createFsStore } from "./fs.ts";
import { withLimit } from "./limit.ts";
import type { ObjectStore } from "./object-store.ts";
import { createRates } from "./rates.ts";
import { attemptUntilDone, withRetry } from "./retry.ts";
import type { RetryOptions } from "./retry.ts";
import { withThrottle } from "./throttle.ts";

interface Driver {
  readonly open: OpenDriver;
  /** It holds the rates itself, on the line; else calls are paid for as a whole. */
  readonly holdsRates?: true;
  readonly retry: Pick<RetryOptions, "deadlineMs" | "firstDelayMs" | "maxDelayMs">;
  /** Calls at once, unless the settings say otherwise; all where it is left out. */
  readonly concurrency?: number;
}

/** A local disk recovers soon or not at all; the deadline is for network mounts that come back. */
const FS_RETRY = { deadlineMs: 30_000, firstDelayMs: 200, maxDelayMs: 5_000 };
/** A nightly backup outlives a router that starts again, and a server that is upgraded. */
const NETWORK_RETRY = { deadlineMs: 900_000, firstDelayMs: 500, maxDelayMs: 30_000 };
/** Who opens a store waits in front of it. */
const OPENING_DEADLINE_MS = 60_000;

const FOLDER: Driver = {
  open: async (location, { random }) => createFsStore(folderOf(location), { random }),
  retry: FS_RETRY,
};

/** By scheme; without one it is a folder. Loaded when opened: a backup into a folder does not pay for an SDK. */
const DRIVERS: ReadonlyMap<string | undefined, Driver> = new Map<string | undefined, Driver>([
  [undefined, FOLDER],
  ["file:", FOLDER],
  [
    "s3:",
    {
      open: async (location, context) => (await import("./open-s3.ts")).openS3(location, context),
      retry: NETWORK_RETRY,
      // Enough to fill a line across a continent with packs of 16 MiB; each holds one in memory.
      concurrency: 8,
    },
  ],
  [
    "rest:",
    {
      open: async (location, { settings = {}, rates }) =>
        (await import("./rest.ts")).createRestStore(location, { settings, rates }),
      holdsRates: true,
      retry: NETWORK_RETRY,
      concurrency: 8,
    },
  ],
  [
    "gs:",
    {
      open: async (location, { settings = {}, random, rates }) =>
        (await import("./google.ts")).createGoogleStore(location, { settings, random, rates }),
      holdsRates: true,
      retry: NETWORK_RETRY,
      concurrency: 16,
    },
  ],
]);

/** `s3:`, `https://`: a scheme, which a path does not begin with. One letter is a drive. */
const SCHEME = /^[a-z][a-z0-9+.-]+:/i;

/**
 * The store that a location names, retries and limits included. Nothing is written yet; a store behind a network may be
 * asked what it can do.
 */
export async function openObjectStore(
  location: string,
  context: OpenStoreContext,
): Promise<ObjectStore> {
  const driver = driverOf(location);
  const { clock, random, onRetry, settings } = context;
  const limits = settings?.limits ?? {};
  const rates = createRates(limits, clock);
  const retry = {
    ...driver.retry,
    clock,
    random,
    ...(onRetry === undefined ? {} : { onRetry }),
  };
  const patiently = patience(retry, context);
  const opened = await driver.open(location, { ...context, rates, patiently });
  // From the inside: a call pays when it is its turn, and again each time it is repeated.
  const throttled =
    rates === undefined || driver.holdsRates === true ? opened : withThrottle(opened, rates);
  const concurrency = limits.concurrency ?? driver.concurrency;
  return withRetry(
    concurrency === undefined ? throttled : withLimit(throttled, concurrency),
    retry,
  );
}

function patience(retry: RetryOptions, { signal }: OpenStoreContext): DriverContext["patiently"] {
  const deadlineMs = Math.min(retry.deadlineMs, OPENING_DEADLINE_MS);
  return (ask) => attemptUntilDone({ ...retry, deadlineMs }, signal, () => ask(signal));
}

function driverOf(location: string): Driver {
  if (location.trim() === "") throw invalid("empty location of a store");
  const scheme = SCHEME.exec(location)?.[0].toLowerCase();
  const driver = DRIVERS.get(scheme);
  if (driver !== undefined) return driver;
  throw invalid(`location of a store with the unknown scheme ${scheme ?? ""}`);
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
