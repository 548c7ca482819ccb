import { fileURLToPath } from "node:url";
import type { AppError, Clock, RandomBytes } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import { createFsStore } from "./fs.ts";
import type { ObjectStore } from "./object-store.ts";
import { withRetry } from "./retry.ts";
import type { StoreSettings } from "./settings.ts";

export interface OpenStoreContext {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly settings?: StoreSettings;
  readonly onRetry?: (error: AppError, attempt: number, delayMs: number) => void;
}

/** A local disk recovers soon or not at all; the deadline is for network mounts that come back. */
const FS_RETRY = { deadlineMs: 30_000, firstDelayMs: 200, maxDelayMs: 5_000 };
/** `s3:`, `https://`: a scheme, which a path does not begin with. One letter is a drive. */
const SCHEME = /^[a-z][a-z0-9+.-]+:/i;

/** The store that a location names, retries and limits included. Nothing is read or written yet. */
export async function openObjectStore(
  location: string,
  context: OpenStoreContext,
): Promise<ObjectStore> {
  const { onRetry } = context;
  const driver = await openDriver(location, context);
  return withRetry(driver, {
    ...FS_RETRY,
    clock: context.clock,
    random: context.random,
    ...(onRetry === undefined ? {} : { onRetry }),
  });
}

async function openDriver(location: string, context: OpenStoreContext): Promise<ObjectStore> {
  return createFsStore(folderOf(location), { random: context.random });
}

function folderOf(location: string): string {
  const scheme = SCHEME.exec(location)?.[0].toLowerCase();
  if (location.trim() === "") throw invalid("empty location of a store");
  if (scheme === undefined) return location;
  if (scheme !== "file:") throw invalid(`location of a store with the unknown scheme ${scheme}`);
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
