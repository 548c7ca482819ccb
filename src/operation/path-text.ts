import type { Bytes } from "../kernel/index.ts";
import type { EntryPath } from "../repository/index.ts";

/**
 * Paths in a snapshot as text: names joined by `/`. What text cannot hold is written as `%XX`, and `%` itself as `%25`,
 * so that what `ls` prints names exactly one entry when it is given to `dump`.
 */
export function pathText(path: readonly Bytes[]): string {
  return path.map(nameText).join("/");
}

export function entryPath(text: string): EntryPath {
  return text
    .split("/")
    .filter((part) => part !== "")
    .map(nameBytes);
}

function nameText(name: Bytes): string {
  const text = Buffer.from(name).toString("utf8");
  const exact = Buffer.from(text, "utf8").equals(name);
  // These two mean other places wherever paths are read.
  if (text === "." || text === "..") return "%2E".repeat(text.length);
  if (exact) return Array.from(text, escaped).join("");
  return [...name]
    .map((byte) =>
      byte >= 0x21 && byte < 0x7f && byte !== 0x25 && byte !== 0x2f
        ? String.fromCharCode(byte)
        : hex(byte),
    )
    .join("");
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const plain = code >= 0x20 && code !== 0x7f && character !== "%" && character !== "/";
  if (plain && !(code >= 0x80 && code < 0xa0)) return character;
  return [...Buffer.from(character, "utf8")].map(hex).join("");
}

function hex(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
}

function nameBytes(part: string): Bytes {
  const pieces = part.split(/(%[0-9A-Fa-f]{2})/);
  return Buffer.concat(
    pieces.map((piece) =>
      /^%[0-9A-Fa-f]{2}$/.test(piece)
        ? Buffer.of(Number.parseInt(piece.slice(1), 16))
        : Buffer.from(piece, "utf8"),
    ),
  );
}
