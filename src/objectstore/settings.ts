import type { Secret } from "../kernel/index.ts";

/** What a store needs to know besides its location. Secrets are resolved already; nothing here is ever logged. */
export interface StoreSettings {
  readonly s3?: S3Settings;
  readonly google?: GoogleSettings;
  readonly rest?: RestSettings;
  readonly tls?: TlsSettings;
  readonly limits?: StoreLimits;
}

export interface S3Settings {
  /** `us-east-1` where the server does not care. */
  readonly region?: string;
  /** URL of a compatible server; AWS by default. */
  readonly endpoint?: string;
  /** `https://host/bucket/key` in place of `https://bucket.host/key`; by default with an endpoint. */
  readonly pathStyle?: boolean;
  /** Of data packs; one with immediate retrieval. */
  readonly storageClass?: string;
  readonly encryption?: ServerSideEncryption;
  /** By default the SDK's own chain: environment, shared files, roles. */
  readonly credentials?: AccessKey;
}

export type ServerSideEncryption =
  | { readonly kind: "aes256" }
  | { readonly kind: "kms"; readonly keyId?: string };

export interface AccessKey {
  readonly id: Secret;
  readonly secret: Secret;
  readonly sessionToken?: Secret;
}

export interface GoogleSettings {
  /** The JSON of a service account's key; by default Google's own chain. */
  readonly serviceAccount?: Secret;
  /** Of data packs. */
  readonly storageClass?: string;
  /** Another API endpoint than Google's; for stand-ins and private service connect. */
  readonly endpoint?: string;
}

export interface RestSettings {
  readonly username?: string;
  readonly password?: Secret;
}

export interface TlsSettings {
  /** The least version that is accepted; 1.2 by default. */
  readonly minVersion?: "1.2" | "1.3";
  /** PEM of the certificate authorities that are trusted in place of the system's. */
  readonly certificateAuthorities?: string;
}

export interface StoreLimits {
  readonly uploadBytesPerSecond?: number;
  readonly downloadBytesPerSecond?: number;
  readonly requestsPerSecond?: number;
  /** Calls at once; what suits the driver by default. */
  readonly concurrency?: number;
}
