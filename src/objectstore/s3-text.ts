import { Readable } from "node:stream";
import type { S3Client } from "@aws-sdk/client-s3";

/** A page of a listing has a thousand keys: a few megabytes at most. */
const MAX_TEXT_BYTES = 64 * 1024 * 1024;

/** What is no object is text, which the SDK takes in whole, however much a server sends. */
export function limitText(client: S3Client): void {
  client.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        const answer = await next(args);
        const { response } = answer;
        if (isAnswer(response) && !(commandName === "GetObjectCommand" && isGood(response))) {
          response.body = Readable.from(atMost(response.body), { objectMode: false });
        }
        return answer;
      },
    // Next to the wire: before the text is taken in.
    { step: "deserialize", priority: "low", name: "sparekeepLimitText" },
  );
}

async function* atMost(body: Readable): AsyncIterable<Uint8Array> {
  let received = 0;
  for await (const part of body as AsyncIterable<Uint8Array>) {
    received += part.byteLength;
    if (received > MAX_TEXT_BYTES) throw new Error(`answer of more than ${MAX_TEXT_BYTES} bytes`);
    yield part;
  }
}

interface Answer {
  readonly statusCode: number;
  body: Readable;
}

function isAnswer(response: unknown): response is Answer {
  return (
    typeof response === "object" &&
    response !== null &&
    "statusCode" in response &&
    "body" in response &&
    response.body instanceof Readable
  );
}

function isGood({ statusCode }: Answer): boolean {
  return statusCode >= 200 && statusCode < 300;
}
