import { bug } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";

/**
 * Takes the rows of COPY … TO STDOUT out of the raw bytes of a connection: a filter in front of the protocol parser of
 * the driver. Whatever is not CopyData (notices, CopyDone, errors) goes on to it, in order.
 */
export interface CopyFrames {
  /** Nothing of `chunk` is kept; what is returned belongs to the caller. */
  push(chunk: Bytes): CopyFramesStep;
}

export interface CopyFramesStep {
  /** Contents of CopyData frames, concatenated; a frame may be spread over several steps. May be empty. */
  readonly payload: Bytes;
  /** Every other message, with its header, as it came; may end inside one. May be empty. */
  readonly messages: Bytes;
}

/** PostgreSQL documentation, "Message Formats": a type byte, then an int32 length that counts itself. */
const COPY_DATA = 0x64;
const HEADER_BYTES = 5;
const LENGTH_BYTES = 4;

export function createCopyFrames(): CopyFrames {
  /** Bytes of the current message that are still to come, its header taken off. */
  let openBytes = 0;
  let openIsData = false;
  const header = new Uint8Array(HEADER_BYTES);
  const headerView = new DataView(header.buffer);
  let headerFilled = 0;

  return {
    push(chunk) {
      const payload = new Uint8Array(chunk.byteLength);
      const messages: Bytes[] = [];
      let payloadFilled = 0;
      let at = 0;
      while (at < chunk.byteLength) {
        if (openBytes === 0) {
          const taken = chunk.subarray(at, at + HEADER_BYTES - headerFilled);
          header.set(taken, headerFilled);
          headerFilled += taken.byteLength;
          at += taken.byteLength;
          if (headerFilled < HEADER_BYTES) break;
          headerFilled = 0;
          openIsData = header[0] === COPY_DATA;
          openBytes = bodyBytes(headerView);
          if (!openIsData) messages.push(header.slice());
          continue;
        }
        const body = chunk.subarray(at, at + openBytes);
        at += body.byteLength;
        openBytes -= body.byteLength;
        if (openIsData) {
          payload.set(body, payloadFilled);
          payloadFilled += body.byteLength;
        } else {
          messages.push(body.slice());
        }
      }
      return { payload: payload.subarray(0, payloadFilled), messages: Buffer.concat(messages) };
    },
  };
}

function bodyBytes(header: DataView): number {
  const length = header.getInt32(1);
  if (length < LENGTH_BYTES) throw bug(`message of the server with the length ${length}`);
  return length - LENGTH_BYTES;
}
