import type { ClientRequest } from "node:http";
import type { Bytes } from "../kernel/index.ts";
import type { LargeBody } from "./object-store.ts";
import type { Rates } from "./rates.ts";

/** What passes at once between two looks at the rate: small against the burst of any rate that is of use. */
const SLICE_BYTES = 16 * 1024;

type Pay = (sizeBytes: number) => Promise<void>;

export interface Pace {
  readonly up: Pay;
  readonly down: Pay;
  /** Whether one of them is waiting now. */
  holding(): boolean;
}

export function createPace(rates: Rates | undefined, signal: AbortSignal | undefined): Pace {
  let waiting = 0;
  const paid =
    (bucket: Rates["up"] | undefined): Pay =>
    async (sizeBytes) => {
      if (bucket === undefined) return;
      waiting += 1;
      try {
        await bucket.take(sizeBytes, signal);
      } finally {
        waiting -= 1;
      }
    };
  return { up: paid(rates?.up), down: paid(rates?.down), holding: () => waiting > 0 };
}

/** The body and its end: at once without `pay`, else slice by slice, each when it may pass and the one before is gone. */
export async function sendBody(
  out: ClientRequest,
  body: readonly Bytes[] | Pick<LargeBody, "open">,
  pay: Pay | undefined,
): Promise<void> {
  if ("open" in body) return sendStream(out, body, pay);
  for (const part of body) {
    if (pay === undefined) {
      out.write(part);
      continue;
    }
    for (let at = 0; at < part.byteLength; at += SLICE_BYTES) {
      const slice = part.subarray(at, at + SLICE_BYTES);
      await pay(slice.byteLength);
      if (out.destroyed) return;
      if (!out.write(slice)) await drained(out);
    }
  }
  if (!out.destroyed) out.end();
}

/** Never more of it in memory than the line has not taken. What was begun is not ended as if it were whole. */
async function sendStream(
  out: ClientRequest,
  body: Pick<LargeBody, "open">,
  pay: Pay | undefined,
): Promise<void> {
  try {
    for await (const part of body.open()) {
      for (let at = 0; at < part.byteLength; at += SLICE_BYTES) {
        const slice = part.subarray(at, at + SLICE_BYTES);
        await pay?.(slice.byteLength);
        if (out.destroyed) return;
        if (!out.write(slice)) await drained(out);
      }
    }
  } catch (thrown) {
    out.destroy();
    throw thrown;
  }
  if (!out.destroyed) out.end();
}

function drained(out: ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      out.off("drain", done);
      out.off("close", done);
      resolve();
    };
    out.on("drain", done);
    out.on("close", done);
  });
}
