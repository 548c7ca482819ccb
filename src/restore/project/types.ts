/** A project's configuration on one side: as a snapshot holds it, or as the API gives it now. Secrets are seals. */
export interface ProjectSide {
  readonly documents: ReadonlyMap<string, unknown>;
  /** By slug: SHA-256 by path as deployed. */
  readonly functions: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** Documents that the project does not have, by the API's own answer, with the reason. */
  readonly absent: ReadonlyMap<string, string>;
}

/**
 * `+` is set where nothing is, `-` taken away, `*` another value; `!` differs and is not set, for the reason given.
 */
export type SettingSign = "+" | "-" | "*" | "!";

export interface PlannedSetting {
  readonly service: string;
  readonly setting: string;
  readonly sign: SettingSign;
  readonly from?: unknown;
  readonly to?: unknown;
  readonly reason?: string;
  /** Of a secret that is to be set: its name under `outside` of the policy. */
  readonly secret?: string;
}

export interface PlannedRequest {
  readonly service: string;
  readonly method: "PATCH" | "PUT" | "POST";
  /** Below the project. */
  readonly path: string;
  readonly permission: string;
  readonly settings: readonly string[];
}

/** In the order in which requests go: what could lock us out comes last. */
export interface ProjectPlan {
  readonly same: number;
  readonly settings: readonly PlannedSetting[];
  readonly requests: readonly PlannedRequest[];
}

/** A secret as the policy's place gives it: its seal, or why there is none. */
export type SecretState = { readonly seal: string } | { readonly problem: string };

export interface SecretNeed {
  /** As `outside` of the policy names it. */
  readonly name: string;
  /** What its seal is made for: `auth.smtp_pass`. */
  readonly sealedAs: string;
}

export type Settings = Readonly<Record<string, unknown>>;
