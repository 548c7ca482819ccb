/** Bytes by key: the interface, its drivers and wrappers. Imports only the kernel. */
export type * from "./object-store.ts";
