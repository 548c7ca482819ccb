import type { AppError, Clock, RandomBytes } from "../kernel/index.ts";
import type { ObjectStore } from "./object-store.ts";
import type { Rates } from "./rates.ts";
import type { StoreSettings } from "./settings.ts";

export interface OpenStoreContext {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly settings?: StoreSettings;
  readonly onRetry?: (error: AppError, attempt: number, delayMs: number) => void;
  readonly signal?: AbortSignal;
}

export interface DriverContext extends OpenStoreContext {
  /** What `limits` leaves; none where nothing is limited. */
  readonly rates: Rates | undefined;
  /** Repeats what a driver asks while it is opened, as the retry wrapper repeats what comes later. */
  readonly patiently: <Answer>(
    ask: (signal: AbortSignal | undefined) => Promise<Answer>,
  ) => Promise<Answer>;
}

export type OpenDriver = (location: string, context: DriverContext) => Promise<ObjectStore>;
