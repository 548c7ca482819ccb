/** Which texts name a key so that a person can say which one was meant. Pure. */

const FINGERPRINT = /^(?:0x)?(?:[0-9a-f]{40}|[0-9a-f]{64})$/i;
const LONG_ID = /^(?:0x)?[0-9a-f]{16}$/i;
const SHORT_ID = /^(?:0x)?[0-9a-f]{8}$/i;
const ADDRESS = /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}$/;

export function gpgRecipientProblem(
  value: unknown,
): { readonly message: string; readonly fix: string } | undefined {
  const fix = 'Write the key\'s fingerprint, as "gpg --fingerprint" prints it, without blanks.';
  if (typeof value === "number") {
    // YAML reads 0x… and 12E34 as numbers, which hold fewer digits than a key id has.
    return { message: "a number, as YAML reads it", fix: "Write the key in quotes." };
  }
  if (typeof value !== "string") return { message: "no recipient of gpg", fix };
  if (value.includes("-----BEGIN")) {
    return {
      message: "a key in place of a recipient",
      fix: "Put the public key into a file, name the file under keys:, and write its fingerprint here.",
    };
  }
  if (SHORT_ID.test(value)) {
    return { message: "a short key id, which anybody can make another key for", fix };
  }
  if (FINGERPRINT.test(value) || LONG_ID.test(value) || ADDRESS.test(value)) return undefined;
  return { message: "neither a fingerprint, nor a key id, nor an address", fix };
}
