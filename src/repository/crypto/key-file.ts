import { scrypt } from "node:crypto";
import type { Bytes, Clock, RandomBytes, Secret } from "../../kernel/index.ts";
import { base64Of, countOf, objectOf, parseJson } from "../json.ts";
import { repositoryError } from "../errors.ts";
import type { KeyDerivationCost } from "../types.ts";
import { masterKeyOf, RAW_KEY_BYTES, sealKeysOf } from "./master-key.ts";
import type { MasterKey, SealKeys } from "./master-key.ts";
import { IV_BYTES, openBytes, sealBytes } from "./sealed.ts";

/** `keys/<SHA-256>`: plain JSON; `data` is the master key sealed under scrypt(password). docs/spec/repository.md §keys */

const SALT_BYTES = 64;
/** A key file is foreign input: what it asks for must stay within what an honest one needs. */
const MAX_SCRYPT_BYTES = 1024 * 1024 * 1024;
const MAX_PARALLEL = 4096;
/** 256 times what restic's floor costs: a minute of one processor, not hours. */
const MAX_WORK = 2 ** 26;
/** restic calibrates to half a second; N and r are its defaults and the floor. */
const CALIBRATION_MS = 500;
const FLOOR: KeyDerivationCost = { N: 32_768, r: 8, p: 1 };
const MAX_CALIBRATED_P = 16;

export interface KeyFile {
  readonly cost: KeyDerivationCost;
  readonly salt: Bytes;
  readonly data: Bytes;
}

/** `undefined`: not a scrypt key of ours (foreign `kdf`, which restic skips too). Throws when it is no key at all. */
export function parseKeyFile(json: Bytes, id: string): KeyFile | undefined {
  const fields = objectOf(parseJson(json));
  if (fields !== undefined && typeof fields["kdf"] === "string" && fields["kdf"] !== "scrypt") {
    return undefined;
  }
  const N = countOf(fields?.["N"], 2 ** 31);
  const r = countOf(fields?.["r"], 2 ** 20);
  const p = countOf(fields?.["p"], 2 ** 20);
  const salt = base64Of(fields?.["salt"]);
  const data = base64Of(fields?.["data"]);
  const whole =
    N !== undefined && r !== undefined && p !== undefined && fields?.["kdf"] === "scrypt";
  if (!whole || salt === undefined || data === undefined) {
    throw repositoryError("key_damaged", {
      message: `key ${id.slice(0, 8)} that is no key file`,
      subject: { key: id },
    });
  }
  requireFairCost({ N, r, p }, id);
  return { cost: { N, r, p }, salt, data };
}

function requireFairCost({ N, r, p }: KeyDerivationCost, id: string): void {
  const powerOfTwo = N > 1 && (N & (N - 1)) === 0;
  const bounded = p <= MAX_PARALLEL && 128 * N * r <= MAX_SCRYPT_BYTES && N * r * p <= MAX_WORK;
  if (powerOfTwo && r > 0 && p > 0 && bounded) return;
  throw repositoryError("incompatible", {
    message: `key ${id.slice(0, 8)} with scrypt cost N=${N} r=${r} p=${p}`,
    subject: { key: id, N, r, p },
    hint: "Open the repository with another key, and look at who wrote this one.",
  });
}

/** `undefined` when the password does not open this key. */
export async function openKeyFile(file: KeyFile, password: Secret): Promise<MasterKey | undefined> {
  const keys = await derive(password, file.salt, file.cost);
  const opened = openBytes(file.data, keys);
  if (opened === undefined) return undefined;
  const fields = objectOf(parseJson(opened));
  const mac = objectOf(fields?.["mac"]);
  const encrypt = base64Of(fields?.["encrypt"]);
  const k = base64Of(mac?.["k"]);
  const r = base64Of(mac?.["r"]);
  if (encrypt?.byteLength !== 32 || k?.byteLength !== 16 || r?.byteLength !== 16) {
    throw repositoryError("key_damaged", {
      message: "key file that opens but holds no master key",
    });
  }
  return masterKeyOf(Buffer.concat([encrypt, k, r]));
}

export interface NewKey {
  readonly master: MasterKey;
  readonly password: Secret;
  readonly cost: KeyDerivationCost;
  readonly created: Date;
  readonly username: string;
  readonly hostname: string;
}

export async function createKeyFile(key: NewKey, random: RandomBytes): Promise<Bytes> {
  const salt = random(SALT_BYTES);
  const { raw } = key.master;
  const plain = JSON.stringify({
    mac: { k: base64(raw.subarray(32, 48)), r: base64(raw.subarray(48, RAW_KEY_BYTES)) },
    encrypt: base64(raw.subarray(0, 32)),
  });
  const keys = await derive(key.password, salt, key.cost);
  const data = sealBytes(Buffer.from(plain), keys, random(IV_BYTES));
  const { N, r, p } = key.cost;
  const { username, hostname } = key;
  const created = key.created.toISOString();
  const head = { created, username, hostname, kdf: "scrypt" };
  return Buffer.from(JSON.stringify({ ...head, N, r, p, salt: base64(salt), data: base64(data) }));
}

/** p grows until one derivation takes about half a second; N and r never fall below the floor. */
export async function calibrateCost(clock: Clock, random: RandomBytes): Promise<KeyDerivationCost> {
  const probe = random(32);
  const startedMs = clock.monotonicMs();
  await scryptBytes(probe, probe, FLOOR);
  const onceMs = Math.max(1, clock.monotonicMs() - startedMs);
  const p = Math.min(MAX_CALIBRATED_P, Math.max(1, Math.floor(CALIBRATION_MS / onceMs)));
  return { ...FLOOR, p };
}

async function derive(password: Secret, salt: Bytes, cost: KeyDerivationCost): Promise<SealKeys> {
  return sealKeysOf(await scryptBytes(Buffer.from(password.reveal(), "utf8"), salt, cost));
}

function scryptBytes(password: Bytes, salt: Bytes, cost: KeyDerivationCost): Promise<Bytes> {
  const { N, r, p } = cost;
  const options = { N, r, p, maxmem: 128 * r * (N + p + 2) + 1024 * 1024 };
  return new Promise((resolve, reject) => {
    scrypt(password, salt, RAW_KEY_BYTES, options, (error, derived) => {
      if (error === null) resolve(derived);
      else reject(error);
    });
  });
}

function base64(bytes: Bytes): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}
