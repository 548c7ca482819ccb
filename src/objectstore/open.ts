import { fileURLToPath } from "node:url";
import type { AppError, Clock, RandomBytes } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import { createFsStore } from "./fs.ts";
import { withLimit } from "./limit.ts";
import type { ObjectStore } from "./object-store.ts";
import { createRates } from "./rates.ts";
import type { Rates } from "./rates.ts";
import { withRetry } from "./retry.ts";
import type { RetryOptions } from "./retry.ts";
import type { StoreSettings } from "./settings.ts";
import { withThrottle } from "./throttle.ts";

export interface OpenStoreContext {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly settings?: StoreSettings;
  readonly onRetry?: (error: AppError, attempt: number, delayMs: number) => void;
}

type Patience = Pick<RetryOptions, "deadlineMs" | "firstDelayMs" | "maxDelayMs">;

/** A local disk recovers soon or not at all; the deadline is for network mounts that come back. */
const FS_RETRY: Patience = { deadlineMs: 30_000, firstDelayMs: 200, maxDelayMs: 5_000 };
/** A server that is restarted or a line that is down comes back within minutes. */
const NETWORK_RETRY: Patience = { deadlineMs: 15 * 60_000, firstDelayMs: 500, maxDelayMs: 30_000 };
/** `s3:`, `https://`: a scheme, which a path does not begin with. One letter is a drive. */
const SCHEME = /^[a-z][a-z0-9+.-]+:/i;

interface Driver {
  readonly open: (
    location: string,
    context: OpenStoreContext,
    rates: Rates | undefined,
  ) => Promise<ObjectStore>;
  /** It holds the rates itself, on the line; else calls are paid for as a whole. */
  readonly holdsRates?: true;
  readonly retry: Patience;
  /** Calls at once where the policy names no number; all where it is left out. */
  readonly concurrency?: number;
}

const FOLDER: Driver = {
  open: async (location, { random }) => createFsStore(folderOf(location), { random }),
  retry: FS_RETRY,
};

/** By scheme. Loaded when opened: a backup into a folder does not pay for an SDK. */
const DRIVERS: ReadonlyMap<string | undefined, Driver> = new Map<string | undefined, Driver>([
  [undefined, FOLDER],
  ["file:", FOLDER],
  [
    "rest:",
    {
      open: async (location, { settings = {} }, rates) =>
        (await import("./rest.ts")).createRestStore(location, { settings, rates }),
      holdsRates: true,
      retry: NETWORK_RETRY,
      concurrency: 8,
    },
  ],
  [
    "gs:",
    {
      open: async (location, { settings = {}, random }, rates) =>
        (await import("./google.ts")).createGoogleStore(location, { settings, random, rates }),
      holdsRates: true,
      retry: NETWORK_RETRY,
      concurrency: 16,
    },
  ],
]);

/** The store that a location names, retries and limits included. Nothing is read or written yet. */
export async function openObjectStore(
  location: string,
  context: OpenStoreContext,
): Promise<ObjectStore> {
  const { onRetry, clock, random, settings } = context;
  const driver = driverOf(location);
  const limits = settings?.limits ?? {};
  const rates = createRates(limits, clock);
  const opened = await driver.open(location, context, rates);
  // From the inside: a call pays when it is its turn, and again each time it is repeated.
  const throttled =
    rates === undefined || driver.holdsRates === true ? opened : withThrottle(opened, rates);
  const concurrency = limits.concurrency ?? driver.concurrency;
  const limited = concurrency === undefined ? throttled : withLimit(throttled, concurrency);
  return withRetry(limited, {
    ...driver.retry,
    clock,
    random,
    ...(onRetry === undefined ? {} : { onRetry }),
  });
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
