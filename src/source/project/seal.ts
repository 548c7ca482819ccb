import { createHmac } from "node:crypto";
import type { Bytes } from "../../kernel/index.ts";

/**
 * In place of a secret: a digest that says only whether it is still the same one, and that only to whoever has the
 * repository's key. Plain digests of short secrets can be guessed.
 */
export interface Sealed {
  /** 64 hex digits. */
  readonly sealed: string;
}

export type Seal = (name: string, value: string) => Sealed;

const LABEL = "sparekeep project secret v1";

/** Keyed as the row hashes of the manifest are, so the same in every snapshot of a repository. */
export function createSeal(key: Bytes): Seal {
  return (name, value) => ({
    sealed: createHmac("sha256", key)
      .update(`${LABEL}\0${Buffer.byteLength(name)}\0${name}\0${value}`)
      .digest("hex"),
  });
}
