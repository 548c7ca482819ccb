import { createCipheriv, createHash, randomBytes, scryptSync } from "node:crypto";
import { zstdDecompressSync } from "node:zlib";

/**
 * restic's format written down a second time, slowly and from its design document alone, to make damaged and poisoned
 * files with and to read golden ones: nothing here comes from src/repository.
 */

export interface FormatKeys {
  readonly encrypt: Buffer;
  readonly k: Buffer;
  readonly r: Buffer;
}

const P1305 = (1n << 130n) - 5n;
const CLAMP = 0x0ffffffc0ffffffc0ffffffc0fffffffn;

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString("hex") || "0"}`);
}

function poly1305(message: Uint8Array, r: bigint, s: bigint): Buffer {
  let sum = 0n;
  for (let at = 0; at < message.byteLength; at += 16) {
    const block = Buffer.concat([message.subarray(at, at + 16), Buffer.from([1])]);
    sum = ((sum + littleEndian(block)) * r) % P1305;
  }
  const tag = (sum + s) & ((1n << 128n) - 1n);
  return Buffer.from(tag.toString(16).padStart(32, "0"), "hex").reverse();
}

function macOf(ciphertext: Uint8Array, iv: Uint8Array, { k, r }: FormatKeys): Buffer {
  const aes = createCipheriv("aes-128-ecb", k, null).setAutoPadding(false);
  const pad = Buffer.concat([aes.update(iv), aes.final()]);
  return poly1305(ciphertext, littleEndian(r) & CLAMP, littleEndian(pad));
}

function aesCtr(bytes: Uint8Array, iv: Uint8Array, key: Buffer): Buffer {
  const aes = createCipheriv("aes-256-ctr", key, iv);
  return Buffer.concat([aes.update(bytes), aes.final()]);
}

export function seal(plain: Uint8Array, keys: FormatKeys, iv = randomBytes(16)): Buffer {
  const ciphertext = aesCtr(plain, iv, keys.encrypt);
  return Buffer.concat([iv, ciphertext, macOf(ciphertext, iv, keys)]);
}

export function open(sealed: Uint8Array, keys: FormatKeys): Buffer {
  const iv = sealed.subarray(0, 16);
  const ciphertext = sealed.subarray(16, -16);
  const mac = Buffer.from(sealed.subarray(-16));
  if (!macOf(ciphertext, iv, keys).equals(mac)) throw new Error("wrong MAC");
  return aesCtr(ciphertext, iv, keys.encrypt);
}

export function keysFromFile(keyFile: Uint8Array, password: string): FormatKeys {
  const file = JSON.parse(Buffer.from(keyFile).toString()) as Record<string, string | number>;
  const [N, r, p] = [Number(file["N"]), Number(file["r"]), Number(file["p"])];
  const salt = Buffer.from(String(file["salt"]), "base64");
  const derived = scryptSync(password, salt, 64, { N, r, p, maxmem: 256 * N * r });
  const user = {
    encrypt: derived.subarray(0, 32),
    k: derived.subarray(32, 48),
    r: derived.subarray(48),
  };
  const opened = open(Buffer.from(String(file["data"]), "base64"), user);
  const master = JSON.parse(opened.toString()) as {
    mac: { k: string; r: string };
    encrypt: string;
  };
  const bytes = (text: string): Buffer => Buffer.from(text, "base64");
  return { encrypt: bytes(master.encrypt), k: bytes(master.mac.k), r: bytes(master.mac.r) };
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** An index, snapshot or lock file as JSON. */
export function openJson(sealed: Uint8Array, keys: FormatKeys): unknown {
  const plain = open(sealed, keys);
  const json = plain[0] === 2 ? zstdDecompressSync(plain.subarray(1)) : plain;
  return JSON.parse(json.toString());
}

export interface IndexBlob {
  readonly id: string;
  readonly type: "data" | "tree";
  offset: number;
  length: number;
  uncompressed_length?: number;
}

export interface IndexJson {
  readonly packs: { id: string; blobs: IndexBlob[] }[];
}

export function openBlob(pack: Uint8Array, blob: IndexBlob, keys: FormatKeys): Buffer {
  const plain = open(pack.subarray(blob.offset, blob.offset + blob.length), keys);
  return blob.uncompressed_length === undefined ? plain : zstdDecompressSync(plain);
}
