/** Changes to one JSON object as text: every field that is not changed stays as it stood, numbers beyond 2^53 too. */

/** Where Go's encoder puts a node's `size`: before the first of these. */
const AFTER_SIZE = new Set([
  "links",
  "linktarget",
  "linktarget_raw",
  "extended_attributes",
  "generic_attributes",
  "device",
  "content",
  "subtree",
]);

type Change = string | number | readonly string[];

/** `text` is valid JSON. A new field goes to the end, `size` to its place; a size of 0 is left out, as Go does. */
export function withFields(text: string, changes: Readonly<Record<string, Change>>): string {
  const left = new Map(Object.entries(changes));
  const size = left.get("size");
  left.delete("size");
  const out: string[] = [];
  let sizeWritten = size === undefined || size === 0;
  const writeSize = (): void => {
    if (!sizeWritten) out.push(`"size":${JSON.stringify(size)}`);
    sizeWritten = true;
  };
  for (const [name, value] of fieldsOf(text)) {
    if (name === "size" && size !== undefined) {
      writeSize();
      continue;
    }
    if (AFTER_SIZE.has(name)) writeSize();
    const change = left.get(name);
    left.delete(name);
    out.push(`${JSON.stringify(name)}:${change === undefined ? value : JSON.stringify(change)}`);
  }
  writeSize();
  for (const [name, change] of left) out.push(`${JSON.stringify(name)}:${JSON.stringify(change)}`);
  return `{${out.join(",")}}`;
}

/** The fields of an object with their values as text, in order. */
function* fieldsOf(text: string): Generator<readonly [name: string, value: string]> {
  let at = text.indexOf("{") + 1;
  for (;;) {
    const nameFrom = text.indexOf('"', at);
    if (nameFrom < 0 || text.slice(at, nameFrom).includes("}")) return;
    const nameTo = endOfString(text, nameFrom);
    const valueFrom = text.indexOf(":", nameTo) + 1;
    const valueTo = endOfValue(text, valueFrom);
    const name: unknown = JSON.parse(text.slice(nameFrom, nameTo));
    yield [String(name), text.slice(valueFrom, valueTo).trim()];
    at = valueTo;
  }
}

function endOfString(text: string, open: number): number {
  for (let at = open + 1; at < text.length; at += 1) {
    if (text[at] === "\\") at += 1;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}

/** At the comma or brace behind the value that begins here. */
function endOfValue(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at += 1) {
    const char = text[at];
    if (char === '"') at = endOfString(text, at) - 1;
    else if (char === "{" || char === "[") depth += 1;
    else if (depth === 0 && (char === "," || char === "}")) return at;
    else if (char === "}" || char === "]") depth -= 1;
  }
  return text.length;
}
