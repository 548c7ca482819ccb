/** Whether a text is a public key of `age`, by its form and its checksum (BIP 173). Nothing is looked up. */

export interface RecipientProblem {
  readonly message: string;
  readonly fix: string;
}

const ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATORS = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
const MAKE_ONE = "Write the public key, age1…, that `age-keygen` prints.";

/** Prefix and number of bytes: X25519, and its hybrid with ML-KEM-768. */
const KINDS: readonly (readonly [prefix: string, sizeBytes: number])[] = [
  ["age1pq", 1216],
  ["age", 32],
];

export function recipientProblem(value: unknown): RecipientProblem | undefined {
  if (typeof value !== "string") return { message: "no age recipient", fix: MAKE_ONE };
  if (/AGE-SECRET-KEY/i.test(value)) {
    const fix =
      "Write the public key, which `age-keygen -y FILE` prints, and make a new pair: this one stood in a file that others read.";
    return { message: "a secret key where a public one belongs", fix };
  }
  if (value.startsWith("ssh-")) {
    return { message: "an SSH key, which is not supported", fix: MAKE_ONE };
  }
  const kind = KINDS.find(([prefix]) => value.startsWith(`${prefix}1`));
  if (kind === undefined) return { message: "no age recipient", fix: MAKE_ONE };
  const [prefix, sizeBytes] = kind;
  const words = value
    .slice(prefix.length + 1)
    .split("")
    .map((sign) => ALPHABET.indexOf(sign));
  const right =
    !words.includes(-1) &&
    words.length === Math.ceil((sizeBytes * 8) / 5) + 6 &&
    checksumOf(prefix, words) === 1;
  if (right) return undefined;
  return {
    message: "an age recipient with a typing error in it",
    fix: "Copy the public key again, all of it.",
  };
}

function checksumOf(prefix: string, words: readonly number[]): number {
  const codes = prefix.split("").map((sign) => sign.charCodeAt(0));
  const all = [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31), ...words];
  let sum = 1;
  for (const word of all) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ word;
    GENERATORS.forEach((generator, bit) => {
      if ((top >> bit) & 1) sum ^= generator;
    });
  }
  return sum;
}
