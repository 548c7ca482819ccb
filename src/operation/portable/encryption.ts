import type { DumpManifest } from "../../manifest/index.ts";
import type { Encryption } from "../../policy/index.ts";
import { findProgram, openKeyring, parseMessageHead, programError } from "../../program/index.ts";
import type { EncryptOptions, Keyring, Recipient } from "../../program/index.ts";
import { resolveSecret } from "../../secrets/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import type { OperationContext } from "../context.ts";

export const GPG_HINT = "Run: apt-get install gnupg";

export interface Encrypting extends AsyncDisposable {
  readonly keyring: Keyring;
  readonly for: EncryptOptions["for"];
  readonly recipients: readonly Recipient[];
}

/** Ready to encrypt, or refused: an unknown, expired or revoked key ends it here, before anything is dumped. */
export async function prepareEncryption(
  context: OperationContext,
  encryption: Encryption,
): Promise<Encrypting> {
  const { signal } = context;
  const gpg = await findProgram("gpg", context.toolDirectories, GPG_HINT);
  const keyFiles = "keys" in encryption ? encryption.keys : [];
  const keyring = await openKeyring({ gpg, keyFiles, signal });
  const close = async (): Promise<void> => {
    await keyring[Symbol.asyncDispose]();
  };
  try {
    if ("passphrase" in encryption) {
      const passphrase = await resolveSecret(encryption.passphrase, context.env);
      return { keyring, for: { passphrase }, recipients: [], [Symbol.asyncDispose]: close };
    }
    const recipients = await keyring.recipients(encryption.gpg);
    return { keyring, for: recipients, recipients, [Symbol.asyncDispose]: close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

/** What the file itself says: that it is for each of them, for nobody else, and that a changed byte would be noticed. */
export function describeEncryption(
  head: Bytes,
  { recipients, for: asked }: Pick<Encrypting, "recipients" | "for">,
): DumpManifest["encryption"] {
  const { keyIds, passphrases, integrity } = parseMessageHead(head);
  const opening = recipients.map(({ name, fingerprint, encryptionKeyIds }) => ({
    name,
    fingerprint,
    keyIds: keyIds.filter((id) => encryptionKeyIds.includes(id)),
  }));
  const known = new Set(opening.flatMap((one) => one.keyIds));
  const strange = keyIds.find((id) => !known.has(id));
  const missed = opening.find((one) => one.keyIds.length === 0);
  const wanted = "passphrase" in asked ? 1 : 0;
  if (strange !== undefined || missed !== undefined || passphrases !== wanted) {
    throw programError("message_invalid", {
      message:
        missed !== undefined
          ? `an encrypted message that ${missed.name} could not open`
          : `an encrypted message that ${strange ?? "a passphrase"} could open`,
    });
  }
  return { cipher: "AES256", integrity, recipients: opening, passphrases };
}
