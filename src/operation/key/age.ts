import { armor, Decrypter, Encrypter, identityToRecipient } from "age-encryption";
import { Secret } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { operationError } from "../errors.ts";
import { demandUnpadded } from "./demand-strong.ts";

/** age files of one short secret. What age itself throws can show nothing of it, and is wrapped all the same. */

/**
 * 2^16, 64 MiB for each guess: with a passphrase of 64 bits beyond everybody. age's own 2^18 took 650 MiB at the peak here,
 * which is more than a machine that runs backups may have to spare.
 */
export const PASSPHRASE_WORK = 16;
/** Nothing that is wrapped comes near. */
const MAX_FILE_BYTES = 1024 * 1024;

/** Armored, so that it survives a mail or a clipboard; `age -d` opens it like any other. */
export async function wrapFor(recipients: readonly string[], secret: Secret): Promise<Bytes> {
  demandUnpadded(secret, "password to be wrapped");
  const encrypter = new Encrypter();
  for (const [index, recipient] of recipients.entries()) {
    try {
      encrypter.addRecipient(recipient);
    } catch (cause) {
      throw operationError("owner_invalid", {
        message: `owner ${index + 1}, ${recipient.slice(0, 12)}…, whom age does not accept`,
        subject: { owner: recipient },
        cause,
      });
    }
  }
  const sealed = await encrypter.encrypt(`${secret.reveal()}\n`);
  return Buffer.from(armor.encode(sealed));
}

/** `undefined`: the identities do not belong to any of its recipients. */
export async function unwrap(
  file: Bytes,
  name: string,
  identities: readonly Secret[],
): Promise<Secret | undefined> {
  const decrypter = new Decrypter();
  for (const identity of identities) decrypter.addIdentity(identity.reveal());
  return await decrypted(decrypter, file, name);
}

export async function wrapWithPassphrase(
  text: string,
  passphrase: Secret,
  work: number,
): Promise<Bytes> {
  const encrypter = new Encrypter();
  encrypter.setPassphrase(passphrase.reveal());
  encrypter.setScryptWorkFactor(work);
  return await encrypter.encrypt(text);
}

/** `undefined`: not this passphrase. */
export async function unwrapWithPassphrase(
  file: Bytes,
  name: string,
  passphrase: Secret,
): Promise<Secret | undefined> {
  const decrypter = new Decrypter();
  decrypter.addPassphrase(passphrase.reveal());
  return await decrypted(decrypter, file, name);
}

async function decrypted(
  decrypter: Decrypter,
  file: Bytes,
  name: string,
): Promise<Secret | undefined> {
  if (file.byteLength > MAX_FILE_BYTES) throw damaged(name, "of more than 1 MiB");
  try {
    const text = Buffer.from(file).toString("latin1");
    const binary = text.startsWith("-----BEGIN") ? armor.decode(text) : Uint8Array.from(file);
    const plain = await decrypter.decrypt(binary);
    return new Secret(new TextDecoder("utf-8", { fatal: true }).decode(plain).trim());
  } catch (thrown) {
    const unfit = thrown instanceof Error && thrown.message.startsWith("no identity matched");
    if (unfit) return undefined;
    throw damaged(name, "that is no whole age file", thrown);
  }
}

function damaged(name: string, what: string, cause?: unknown): Error {
  return operationError("wrap_damaged", {
    message: `${name} ${what}`,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** The identities in a file of `age-keygen`: one a line, comments passed over. Each is tried out, so a typo is found here. */
export async function parseIdentities(text: Secret): Promise<readonly Secret[]> {
  const lines = text
    .reveal()
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  const found: Secret[] = [];
  for (const [index, line] of lines.entries()) {
    try {
      await identityToRecipient(line);
    } catch {
      // What it throws could show a part of the identity.
      throw operationError("identity_invalid", {
        message: `identity ${index + 1} of the file that age does not accept`,
      });
    }
    found.push(new Secret(line));
  }
  if (found.length > 0) return found;
  throw operationError("identity_invalid", { message: "identity file without an identity" });
}
