import type { Bytes } from "../../kernel/index.ts";
import { programError } from "../errors.ts";

/**
 * The first packets of an OpenPGP message (RFC 4880 §4.2, RFC 9580 §10.3): for whom it is, and whether a changed byte
 * would be noticed. Needs no key. Pure.
 */
export interface MessageHead {
  /** Key ids, 16 hex digits in capitals, of the keys that open it. */
  readonly keyIds: readonly string[];
  /** How many passphrases open it. */
  readonly passphrases: number;
  /** Of the packet that holds the content: a hash inside (MDC), or an authenticated cipher. */
  readonly integrity: "mdc" | "aead";
}

/** Bytes that hold the head of any message of ours. */
export const HEAD_BYTES = 64 * 1024;

const PUBLIC_KEY_SESSION = 1;
const PASSPHRASE_SESSION = 3;
const UNPROTECTED = 9;
const PROTECTED = 18;
const AEAD = 20;
const MARKER = 10;

interface Packet {
  readonly tag: number;
  readonly body: Bytes;
  readonly end: number;
}

export function parseMessageHead(head: Bytes): MessageHead {
  const keyIds: string[] = [];
  let passphrases = 0;
  for (let at = 0; ;) {
    const packet = packetAt(head, at);
    const { tag, body } = packet;
    if (tag === PUBLIC_KEY_SESSION) keyIds.push(keyIdOf(body));
    else if (tag === PASSPHRASE_SESSION) passphrases += 1;
    else if (tag === PROTECTED) return { keyIds, passphrases, integrity: integrityOf(body) };
    else if (tag === AEAD) return { keyIds, passphrases, integrity: "aead" };
    else if (tag === UNPROTECTED) throw invalid("without integrity protection");
    else if (tag !== MARKER) throw invalid(`with packet ${tag} in front`);
    at = packet.end;
  }
}

function keyIdOf(body: Bytes): string {
  const [version] = body;
  if (version !== 3 || body.byteLength < 9)
    throw invalid(`with a key packet of version ${version}`);
  return Buffer.from(body.subarray(1, 9)).toString("hex").toUpperCase();
}

function integrityOf(body: Bytes): "mdc" | "aead" {
  const [version] = body;
  if (version === 1) return "mdc";
  if (version === 2) return "aead";
  throw invalid(`with a content packet of version ${version}`);
}

function packetAt(head: Bytes, at: number): Packet {
  const byte = (offset: number): number => {
    const value = head[at + offset];
    if (value === undefined) throw invalid("that ends in its first packets");
    return value;
  };
  const first = byte(0);
  if ((first & 0x80) === 0) throw invalid("that does not begin with a packet");
  const isNew = (first & 0x40) !== 0;
  const tag = isNew ? first & 0x3f : (first >> 2) & 0x0f;
  const { headerBytes, length } = isNew ? newLength(byte) : oldLength(first & 3, byte);
  const start = at + headerBytes;
  // Of the content only the beginning is looked at.
  const end = start + (length ?? 0);
  if (tag === PUBLIC_KEY_SESSION && end > head.byteLength) throw invalid("that ends in its keys");
  return { tag, body: head.subarray(start, length === undefined ? undefined : end), end };
}

type ByteAt = (offset: number) => number;

interface Length {
  readonly headerBytes: number;
  /** Absent: in parts, or up to the end. */
  readonly length?: number;
}

function newLength(byte: ByteAt): Length {
  const first = byte(1);
  if (first < 192) return { headerBytes: 2, length: first };
  if (first < 224) return { headerBytes: 3, length: (first - 192) * 256 + byte(2) + 192 };
  if (first < 255) return { headerBytes: 2 };
  return { headerBytes: 6, length: numberAt(byte, 2, 4) };
}

function oldLength(kind: number, byte: ByteAt): Length {
  if (kind === 3) return { headerBytes: 1 };
  const size = 2 ** kind;
  return { headerBytes: 1 + size, length: numberAt(byte, 1, size) };
}

function numberAt(byte: ByteAt, offset: number, size: number): number {
  let value = 0;
  for (let i = 0; i < size; i += 1) value = value * 256 + byte(offset + i);
  return value;
}

function invalid(how: string): Error {
  return programError("message_invalid", { message: `an encrypted message ${how}` });
}
