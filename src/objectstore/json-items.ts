import type { Bytes } from "../kernel/index.ts";

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const [OPEN_LIST, CLOSE_LIST, OPEN, CLOSE] = [0x5b, 0x5d, 0x7b, 0x7d];
const SPACE = new Set([0x20, 0x09, 0x0a, 0x0d]);

/**
 * The items of a JSON list, parsed one at a time: a listing of a million objects is never a million objects in memory.
 * Throws a SyntaxError for whatever is no list, also for one that is cut.
 */
export function* jsonItems(json: Bytes): Generator<unknown> {
  let at = afterSpace(json, 0);
  if (json[at] !== OPEN_LIST) throw new SyntaxError("no list");
  at = afterSpace(json, at + 1);
  if (json[at] !== CLOSE_LIST) {
    for (;;) {
      const end = endOfItem(json, at);
      yield JSON.parse(Buffer.from(json.subarray(at, end)).toString()) as unknown;
      if (json[end] === CLOSE_LIST) {
        at = end;
        break;
      }
      at = end + 1;
    }
  }
  if (afterSpace(json, at + 1) !== json.byteLength) throw new SyntaxError("text after the list");
}

/** Where the comma or bracket behind the item stands. */
function endOfItem(json: Bytes, start: number): number {
  let depth = 0;
  let quoted = false;
  for (let at = start; at < json.byteLength; at += 1) {
    const byte = json[at];
    if (quoted) {
      if (byte === BACKSLASH) at += 1;
      else if (byte === QUOTE) quoted = false;
    } else if (byte === QUOTE) quoted = true;
    else if (byte === OPEN || byte === OPEN_LIST) depth += 1;
    else if (depth === 0 && (byte === COMMA || byte === CLOSE_LIST)) return at;
    else if (byte === CLOSE || byte === CLOSE_LIST) depth -= 1;
  }
  throw new SyntaxError("list that is cut");
}

function afterSpace(json: Bytes, start: number): number {
  let at = start;
  while (SPACE.has(json[at] ?? -1)) at += 1;
  return at;
}
