import { errorTable } from "../kernel/index.ts";

export const programError = errorTable("program", {
  missing: {
    kind: "config",
    meaning:
      "A program that this work needs is not on this machine, in none of the folders that are searched.",
    hint: "Install it, or put its folder into PATH.",
  },
  failed: {
    kind: "unavailable",
    meaning: "A program ended with an error of its own; the last lines that it wrote are shown.",
  },
  push_refused: {
    kind: "unavailable",
    meaning: "A git repository did not take a commit: somebody else's came first every time.",
    hint: "Run again; nothing was lost, and the schema lies in the repository of backups.",
  },
  too_slow: {
    kind: "unavailable",
    meaning: "A program whose work takes moments did not end in time and was ended.",
    hint: "Look whether it waits for a lock or for a person, then run again.",
  },
  key_file_unreadable: {
    kind: "config",
    meaning: "A file of public keys cannot be read, or holds no public key that gpg takes.",
    hint: "Export the key again: gpg --export --armor FINGERPRINT > FILE.",
  },
  recipient_unknown: {
    kind: "config",
    meaning: "A recipient of a dump is none of the keys in the files that the policy names.",
    hint: "Export the recipient's public key into a file and name it under `encrypt: { keys: … }`.",
  },
  recipient_ambiguous: {
    kind: "config",
    meaning: "Several usable keys answer to one recipient.",
    hint: "Name the key by its fingerprint.",
  },
  recipient_expired: {
    kind: "config",
    meaning: "The key of a recipient has expired, or its part for encryption has.",
    hint: "Ask the recipient to extend the key, export it again, and replace the file.",
  },
  recipient_revoked: {
    kind: "config",
    meaning: "The key of a recipient was revoked by its owner, or is disabled.",
    hint: "Ask the recipient for the new key, and replace file and fingerprint.",
  },
  recipient_unfit: {
    kind: "config",
    meaning: "The key of a recipient has no part that encrypts.",
    hint: "Ask the recipient for a key with a subkey for encryption.",
  },
  decryption_failed: {
    kind: "auth",
    meaning:
      "gpg did not decrypt a file: the private key is not here, was not unlocked, or the file is damaged.",
    hint: "Run it where the private key lives; `gpg --list-secret-keys` shows those that are there.",
  },
  message_invalid: {
    kind: "corrupt",
    meaning:
      "What gpg wrote is no OpenPGP message with integrity protection, or is not for the recipients asked for.",
  },
});
