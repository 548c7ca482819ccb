import { createCipheriv, createDecipheriv, timingSafeEqual } from "node:crypto";
import type { Bytes } from "../../kernel/index.ts";
import { poly1305 } from "./poly1305.ts";
import type { SealKeys } from "./master-key.ts";

/**
 * Every sealed thing: IV(16) ‖ AES-256-CTR ciphertext ‖ MAC(16). The MAC is Poly1305 over the ciphertext alone, keyed
 * by r and by AES-128(k, IV). docs/spec/repository.md §sealed
 */
export const IV_BYTES = 16;
export const MAC_BYTES = 16;
export const SEAL_OVERHEAD_BYTES = IV_BYTES + MAC_BYTES;

/** `iv` must never be used twice under one key: 16 fresh random bytes. */
export function sealBytes(plain: Bytes, keys: SealKeys, iv: Bytes): Bytes {
  const sealed = Buffer.allocUnsafeSlow(plain.byteLength + SEAL_OVERHEAD_BYTES);
  sealed.set(iv, 0);
  const cipher = createCipheriv("aes-256-ctr", keys.encrypt, iv);
  sealed.set(cipher.update(plain), IV_BYTES);
  const end = IV_BYTES + plain.byteLength;
  sealed.set(macOf(sealed.subarray(IV_BYTES, end), keys, iv), end);
  return sealed;
}

/** The plaintext, or `undefined` when the MAC does not fit: damaged, or another key. */
export function openBytes(sealed: Bytes, keys: SealKeys): Bytes | undefined {
  if (sealed.byteLength < SEAL_OVERHEAD_BYTES) return undefined;
  const end = sealed.byteLength - MAC_BYTES;
  const iv = sealed.subarray(0, IV_BYTES);
  const ciphertext = sealed.subarray(IV_BYTES, end);
  if (!timingSafeEqual(macOf(ciphertext, keys, iv), sealed.subarray(end))) return undefined;
  return createDecipheriv("aes-256-ctr", keys.encrypt, iv).update(ciphertext);
}

function macOf(ciphertext: Bytes, keys: SealKeys, iv: Bytes): Bytes {
  // One AES block: ECB without padding is exactly the block function.
  const pad = createCipheriv("aes-128-ecb", keys.macK, null).setAutoPadding(false).update(iv);
  return poly1305(keys.macR, pad, ciphertext);
}
