/**
 * Foreign text made safe for a terminal: control codes, and characters that reorder or hide others, are shown as their
 * numbers. Names of tables, files and hosts, and the server's own messages, are foreign.
 */
const UNSAFE =
  // oxlint-disable-next-line no-control-regex
  /[\u0000-\u001F\u007F-\u009F\u00AD\u061C\u200B-\u200F\u2028-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB]|\p{Cs}|[\u{E0000}-\u{E007F}]/gu;

export function printable(text: string): string {
  return text.replaceAll(UNSAFE, (character) => {
    const code = character.codePointAt(0) ?? 0;
    const hex = code.toString(16);
    return code < 0x100 ? `\\x${hex.padStart(2, "0")}` : `\\u{${hex}}`;
  });
}

/** Line ends stay; each line is made safe. */
export function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n");
}
