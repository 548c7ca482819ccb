/** For tests of drivers, wrappers and of whatever writes through them; no part of the product. */
export { CONTRACT, codeOf, listKeys, patternBytes } from "./contract.ts";
export type { ContractCase } from "./contract.ts";
export { brokenPromises, describeObjectStore } from "./suite.ts";
export type { StoreUnderTest } from "./suite.ts";
export { withRepositoryKeys } from "./shaped.ts";
export { createTemporaryFolder } from "./folder.ts";
export type { TemporaryFolder } from "./folder.ts";
export { createFaultyStore } from "./faulty.ts";
export type { Fault, FaultyStoreOptions, StoreCall, StoreOperation } from "./faulty.ts";
export { describeObjectLock } from "./lock-suite.ts";
export { describeObjectVersions } from "./versions-suite.ts";
export { createRestStore } from "../rest.ts";
export type { RestStoreOptions } from "../rest.ts";
export { createGoogleStore } from "../google.ts";
export { createSleptClock } from "./slept-clock.ts";
