/*
 * Sorts the bytes of a backend's messages: contents of CopyData frames to one place, everything else to another.
 * PostgreSQL documentation, "Message Formats": a type byte, then an int32 length that counts itself.
 */
const COPY_DATA: u8 = 0x64;
const HEADER: u32 = 5;
const INPUT_BYTES: u32 = 65536;
/** The header's part of the last piece may precede a whole piece; a vector may be read and written past each end. */
const INPUT: usize = memory.data(65568, 16);
const PAYLOAD: usize = memory.data(65568, 16);
const MESSAGES: usize = memory.data(65568, 16);

let payloadFilled: u32 = 0;
let messagesFilled: u32 = 0;
let openLeft: u32 = 0;
let openData: bool = false;

export function input(): usize { return INPUT; }
export function inputBytes(): u32 { return INPUT_BYTES; }
export function payload(): usize { return PAYLOAD; }
export function messages(): usize { return MESSAGES; }
export function payloadBytes(): u32 { return payloadFilled; }
export function messagesBytes(): u32 { return messagesFilled; }
/** Of the message in which the input ended: bytes still to come, and whether it is CopyData. */
export function openBytes(): u32 { return openLeft; }
export function openIsData(): bool { return openData; }

/**
 * Sorts `length` bytes of input, of which the first `open` belong to a message that began before. Bytes of a header that
 * is not whole at the end (0 to 4), to be put in front of the next input; or -1: a length below 4.
 */
export function sort(length: u32, open: u32, isData: bool): i32 {
  const end = INPUT + <usize>length;
  let at = INPUT;
  let to = PAYLOAD;
  messagesFilled = 0;
  openLeft = open;
  openData = isData;
  while (true) {
    const taken = min<u32>(openLeft, <u32>(end - at));
    if (openData) {
      copy(to, at, taken);
      to += <usize>taken;
    } else {
      copy(MESSAGES + <usize>messagesFilled, at, taken);
      messagesFilled += taken;
    }
    at += <usize>taken;
    openLeft -= taken;
    if (<u32>(end - at) < HEADER) break;
    const size = <i32>bswap<u32>(load<u32>(at, 1));
    if (size < 4) return -1;
    openData = load<u8>(at) == COPY_DATA;
    openLeft = <u32>size - 4;
    if (!openData) {
      copy(MESSAGES + <usize>messagesFilled, at, HEADER);
      messagesFilled += HEADER;
    }
    at += <usize>HEADER;
  }
  payloadFilled = <u32>(to - PAYLOAD);
  return <i32>(end - at);
}

/** Writes up to 15 bytes past the end: what comes next overwrites them. */
// @ts-ignore: decorator
@inline
function copy(to: usize, from: usize, size: u32): void {
  if (size > 512) {
    memory.copy(to, from, <usize>size);
    return;
  }
  for (let at: usize = 0; at < <usize>size; at += 16) v128.store(to + at, v128.load(from + at));
}
