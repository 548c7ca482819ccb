import { pino } from "pino";
import type { DestinationStream, Logger } from "pino";

export type Log = Pick<Logger, "debug" | "info" | "warn" | "error">;
export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** JSON lines to stderr: stdout belongs to results. */
export function createLog(level: LogLevel, stream?: DestinationStream): Log {
  return pino({ level, base: null }, stream ?? standardError());
}

/** A log that nobody can read any more ends nothing: without a listener its error would end the process. */
function standardError(): DestinationStream {
  return pino.destination({ dest: 2, sync: true }).on("error", () => undefined);
}

export const silentLog: Log = pino({ level: "silent" });
