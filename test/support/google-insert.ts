import type { IncomingMessage, ServerResponse } from "node:http";
import { md5Of, Refusal, resourceOf, sendJson } from "./google-storage.ts";
import type { GoogleState } from "./google-storage.ts";

/** Storage classes of a new object, as the document lists them for buckets. */
const CLASSES = [
  "STANDARD",
  "NEARLINE",
  "COLDLINE",
  "ARCHIVE",
  "MULTI_REGIONAL",
  "REGIONAL",
  "DURABLE_REDUCED_AVAILABILITY",
];

let generations = 1_700_000_000_000_000;

/** objects.insert with `uploadType=media` or `multipart`: refused whole, or there whole. */
export function insertObject(
  state: GoogleState,
  query: URLSearchParams,
  incoming: IncomingMessage,
  body: Buffer,
  answer: ServerResponse,
): void {
  const { metadata, bytes } = partsOf(query.get("uploadType"), incoming, body);
  const name = query.get("name") ?? metadata["name"];
  if (typeof name !== "string" || name === "" || Buffer.byteLength(name) > 1024) {
    throw new Refusal(400, "required", "Required parameter: name");
  }
  const storageClass = metadata["storageClass"] ?? "STANDARD";
  if (typeof storageClass !== "string" || !CLASSES.includes(storageClass)) {
    throw new Refusal(400, "invalid", "Invalid argument: storage class");
  }
  const md5Hash = md5Of(bytes);
  if (metadata["md5Hash"] !== undefined && metadata["md5Hash"] !== md5Hash) {
    throw new Refusal(400, "invalid", "Provided MD5 hash doesn't match calculated MD5 hash.");
  }
  const wanted = query.get("ifGenerationMatch");
  const generation = state.objects.get(name)?.generation ?? "0";
  if (wanted !== null && wanted !== generation) {
    throw new Refusal(
      412,
      "conditionNotMet",
      "At least one of the pre-conditions you specified did not hold.",
    );
  }
  generations += 1;
  const object = {
    bytes,
    md5Hash,
    storageClass,
    timeCreated: new Date().toISOString(),
    generation: `${generations}`,
  };
  state.objects.set(name, object);
  sendJson(answer, resourceOf(state, name, object), query.get("fields"));
}

function partsOf(
  uploadType: string | null,
  incoming: IncomingMessage,
  body: Buffer,
): { metadata: Record<string, unknown>; bytes: Buffer } {
  const contentType = incoming.headers["content-type"] ?? "";
  if (uploadType === "media") return { metadata: {}, bytes: body };
  if (uploadType !== "multipart") throw new Refusal(400, "invalidParameter", "Invalid uploadType");
  const boundary = /^multipart\/related; ?boundary="?([A-Za-z0-9'()+_,./:=?-]{1,70})"?$/.exec(
    contentType,
  )?.[1];
  if (boundary === undefined)
    throw new Refusal(400, "badContent", `Unsupported content type ${contentType}`);
  const first = partAt(body, 0, `--${boundary}\r\n`, boundary);
  const second = partAt(body, first.end + 2, `--${boundary}\r\n`, boundary);
  if (
    body
      .subarray(second.end + 2)
      .toString()
      .trimEnd() !== `--${boundary}--`
  ) {
    throw new Refusal(400, "badContent", "Missing end boundary in multipart body.");
  }
  if (!/^application\/json(;|$)/i.test(first.type))
    throw new Refusal(400, "badContent", "Metadata part is not JSON.");
  const metadata: unknown = JSON.parse(first.bytes.toString());
  if (typeof metadata !== "object" || metadata === null)
    throw new Refusal(400, "parseError", "Parse Error");
  return { metadata: { ...metadata }, bytes: Buffer.from(second.bytes) };
}

function partAt(
  body: Buffer,
  at: number,
  open: string,
  boundary: string,
): { type: string; bytes: Buffer; end: number } {
  if (body.subarray(at, at + open.length).toString() !== open) {
    throw new Refusal(400, "badContent", "Multipart body that does not begin with its boundary.");
  }
  const headEnd = body.indexOf("\r\n\r\n", at + open.length);
  const end = body.indexOf(`\r\n--${boundary}`, headEnd + 2);
  if (headEnd < 0 || end < 0) throw new Refusal(400, "badContent", "Multipart body that is cut.");
  const head = body.subarray(at + open.length, headEnd).toString();
  const type = /^content-type: *(.+)$/im.exec(head)?.[1] ?? "";
  return { type, bytes: body.subarray(headEnd + 4, end < headEnd + 4 ? headEnd + 4 : end), end };
}
