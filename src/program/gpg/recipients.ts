import { programError } from "../errors.ts";

/** Which key each recipient means, from `gpg --with-colons --list-keys` (GnuPG's doc/DETAILS). Pure. */

export interface PublicKey {
  /** Of the primary key. */
  readonly fingerprint: string;
  readonly addresses: readonly string[];
  readonly state: KeyState;
  /** Parts that encrypt now. */
  readonly encryptionKeyIds: readonly string[];
  /** Parts that did, and do no more. */
  readonly spentKeyIds: readonly string[];
  /** Where it does. */
  readonly expiresAt?: Date;
}

type KeyState = "usable" | "expired" | "revoked" | "disabled" | "invalid";

const STATES: Readonly<Record<string, KeyState>> = {
  e: "expired",
  r: "revoked",
  d: "disabled",
  i: "invalid",
  n: "invalid",
};

export function parseKeyListing(listing: string): readonly PublicKey[] {
  const keys: PublicKey[] = [];
  for (const line of listing.split("\n")) {
    const fields = line.split(":");
    const [kind = ""] = fields;
    if (kind === "pub") keys.push(keyOf(fields));
    const key = keys.at(-1);
    if (key === undefined) continue;
    if (kind === "pub" || kind === "sub") keys[keys.length - 1] = withPart(key, fields);
    else if (kind === "fpr" && key.fingerprint === "") {
      keys[keys.length - 1] = { ...key, fingerprint: fields[9] ?? "" };
    } else if (kind === "uid" && (stateOf(fields) === "usable" || key.state !== "usable")) {
      // Those of a spent key are spent with it; it is found by them, and refused by name.
      const addresses = [...key.addresses, addressIn(unescaped(fields[9] ?? ""))];
      keys[keys.length - 1] = { ...key, addresses };
    }
  }
  return keys;
}

function keyOf(fields: readonly string[]): PublicKey {
  const disabled = (fields[11] ?? "").includes("D");
  const expires = Number(fields[6]);
  return {
    fingerprint: "",
    addresses: [],
    state: disabled ? "disabled" : stateOf(fields),
    encryptionKeyIds: [],
    spentKeyIds: [],
    ...(expires > 0 ? { expiresAt: new Date(expires * 1000) } : {}),
  };
}

function stateOf(fields: readonly string[]): KeyState {
  return STATES[fields[1] ?? ""] ?? "usable";
}

function withPart(key: PublicKey, fields: readonly string[]): PublicKey {
  const keyId = fields[4];
  // Small letters are of this part, capitals of the whole key.
  if (keyId === undefined || !(fields[11] ?? "").includes("e")) return key;
  return stateOf(fields) === "usable"
    ? { ...key, encryptionKeyIds: [...key.encryptionKeyIds, keyId] }
    : { ...key, spentKeyIds: [...key.spentKeyIds, keyId] };
}

/** `\x3a` stands for a colon. */
function unescaped(text: string): string {
  return text.replaceAll(/\\x([0-9a-f]{2})/gi, (_all, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

function addressIn(userId: string): string {
  return (/<([^<>]+)>\s*$/.exec(userId)?.[1] ?? userId).toLowerCase();
}

export interface Recipient {
  /** As the policy names it. */
  readonly name: string;
  readonly fingerprint: string;
  readonly encryptionKeyIds: readonly string[];
  readonly expiresAt?: Date;
}

/** Each of them, or an error that names the first one to whom nothing can be encrypted. */
export function chooseRecipients(
  names: readonly string[],
  keys: readonly PublicKey[],
): readonly Recipient[] {
  return names.map((name) => chooseOne(name, keys));
}

function chooseOne(name: string, keys: readonly PublicKey[]): Recipient {
  const matching = keys.filter((key) => answersTo(key, name));
  const usable = matching.filter(
    (key) => key.state === "usable" && key.encryptionKeyIds.length > 0,
  );
  const [key, other] = usable;
  if (key === undefined) throw unusable(name, matching);
  if (other !== undefined) {
    throw programError("recipient_ambiguous", {
      message: `recipient ${name}, to which ${usable.length} keys answer: ${usable.map((one) => one.fingerprint).join(", ")}`,
      subject: { recipient: name },
    });
  }
  const { fingerprint, encryptionKeyIds, expiresAt } = key;
  return {
    name,
    fingerprint,
    encryptionKeyIds,
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
}

function answersTo({ fingerprint, addresses }: PublicKey, name: string): boolean {
  if (name.includes("@")) return addresses.includes(name.toLowerCase());
  const hex = name.replace(/^0x/i, "").toUpperCase();
  return hex.length === 16 ? fingerprint.endsWith(hex) : fingerprint === hex;
}

function unusable(name: string, matching: readonly PublicKey[]): Error {
  const subject = { recipient: name };
  const [key] = matching;
  if (key === undefined) {
    return programError("recipient_unknown", {
      message: `recipient ${name}, of whom no key is in the files named`,
      subject,
    });
  }
  const which = `recipient ${name}, whose key ${key.fingerprint}`;
  const states = new Set(matching.map(({ state }) => state));
  if (states.has("revoked") || states.has("disabled")) {
    const how = states.has("revoked") ? "was revoked" : "is disabled";
    return programError("recipient_revoked", { message: `${which} ${how}`, subject });
  }
  if (states.has("expired") || key.spentKeyIds.length > 0) {
    const on =
      key.state === "expired" && key.expiresAt !== undefined
        ? ` expired on ${key.expiresAt.toISOString().slice(0, 10)}`
        : " has no part left that encrypts: it expired or was revoked";
    return programError("recipient_expired", { message: `${which}${on}`, subject });
  }
  return programError("recipient_unfit", {
    message: `${which} has no usable part that encrypts`,
    subject,
  });
}
