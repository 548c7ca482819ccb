/** What a snapshot says that it contains: formats and the keyed row hash. Pure; where source and restore meet. */
export * from "./manifest.ts";
export type * from "./row-hash.ts";
