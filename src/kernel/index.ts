/** What every layer may use. A closed list: errors, ids, clock, log, bytes, secret, units, lazily, garbage. */
export * from "./errors.ts";
export * from "./ids.ts";
export * from "./clock.ts";
export * from "./log.ts";
export * from "./bytes.ts";
export * from "./secret.ts";
export * from "./units.ts";
export * from "./lazily.ts";
export * from "./garbage.ts";
