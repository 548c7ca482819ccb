import { concatBytes } from "../kernel/index.ts";
import type { Bytes } from "../kernel/index.ts";
import { postgresError } from "./errors.ts";
import { instantiateCopyFrames } from "./copy-frames-kernel.generated.ts";

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

/** One for the thread: what it knows of a connection between two pieces is kept in the closure below. */
const kernel = instantiateCopyFrames();
const memory = new Uint8Array(kernel.memory.buffer);
const INPUT = kernel.input();
const INPUT_BYTES = kernel.inputBytes();
const PAYLOAD = kernel.payload();
const MESSAGES = kernel.messages();

/** Of this size are the buffers of large payloads, and those that can be used again. */
export const PAYLOAD_BUFFER_BYTES = INPUT_BYTES;

/** `spares`: buffers that nobody needs any more; taken from before new ones are made. */
export function createCopyFrames(spares: Bytes[] = []): CopyFrames {
  let openBytes = 0;
  let openIsData = 0;
  /** Up to four bytes of a header that was cut. */
  let headerPart: Bytes = new Uint8Array(0);

  const pushPiece = (piece: Bytes): CopyFramesStep => {
    memory.set(headerPart, INPUT);
    memory.set(piece, INPUT + headerPart.byteLength);
    const length = headerPart.byteLength + piece.byteLength;
    const left = kernel.sort(length, openBytes, openIsData);
    if (left < 0) {
      throw postgresError("copy_incomplete", {
        message: "message of the server with a length below 4",
      });
    }
    openBytes = kernel.openBytes();
    openIsData = kernel.openIsData();
    headerPart = memory.slice(INPUT + length - left, INPUT + length);
    return {
      payload: copyOf(PAYLOAD, kernel.payloadBytes(), spares),
      messages: copyOf(MESSAGES, kernel.messagesBytes(), []),
    };
  };

  return {
    push(chunk) {
      if (chunk.byteLength <= INPUT_BYTES) return pushPiece(chunk);
      const steps: CopyFramesStep[] = [];
      for (let at = 0; at < chunk.byteLength; at += INPUT_BYTES) {
        steps.push(pushPiece(chunk.subarray(at, at + INPUT_BYTES)));
      }
      return {
        payload: concatBytes(steps.map((step) => step.payload)),
        messages: concatBytes(steps.map((step) => step.messages)),
      };
    },
  };
}

function copyOf(from: number, length: number, spares: Bytes[]): Bytes {
  const buffer = length * 2 < PAYLOAD_BUFFER_BYTES ? undefined : spares.pop();
  const roomBytes = length * 2 < PAYLOAD_BUFFER_BYTES ? length : PAYLOAD_BUFFER_BYTES;
  const copy = buffer ?? Buffer.allocUnsafeSlow(roomBytes);
  copy.set(memory.subarray(from, from + length));
  return copy.subarray(0, length);
}
