import { createSecretKey, hkdfSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import type { Bytes, RandomBytes } from "../../kernel/index.ts";

/** encrypt(32) ‖ mac k(16) ‖ mac r(16). docs/spec/repository.md §keys */
export const RAW_KEY_BYTES = 64;

/** Keys of one sealed form. KeyObjects are made once: a raw key costs createCipheriv thrice as much per blob. */
export interface SealKeys {
  readonly encrypt: KeyObject;
  readonly macK: KeyObject;
  readonly macR: Bytes;
}

export function sealKeysOf(raw: Bytes): SealKeys {
  return {
    encrypt: createSecretKey(raw.subarray(0, 32)),
    macK: createSecretKey(raw.subarray(32, 48)),
    macR: Uint8Array.from(raw.subarray(48, 64)),
  };
}

export interface MasterKey {
  readonly raw: Bytes;
  readonly keys: SealKeys;
}

export function masterKeyOf(raw: Bytes): MasterKey {
  return { raw, keys: sealKeysOf(raw) };
}

export function randomMasterKey(random: RandomBytes): MasterKey {
  return masterKeyOf(random(RAW_KEY_BYTES));
}

/** HKDF-SHA256, no salt, `sparekeep/<label>`: 32 bytes, the same on every machine and for every password. */
export function deriveKey(master: MasterKey, label: string): Bytes {
  return new Uint8Array(
    hkdfSync("sha256", master.raw, new Uint8Array(0), `sparekeep/${label}`, 32),
  );
}
