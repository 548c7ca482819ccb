/** References to secrets read: from the environment that main.ts gives, or from a file that only its owner can read. */
export { secretsError } from "./errors.ts";
export { resolveSecret } from "./resolve.ts";
export type { EnvironmentLookup, SecretReference } from "./resolve.ts";
