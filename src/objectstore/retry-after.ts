import type { IncomingHttpHeaders } from "node:http";

/** In seconds; the form with a date is passed over, since whose clock it means is not said. */
export function retryAfterMsOf(
  headers: Pick<IncomingHttpHeaders, "retry-after">,
): number | undefined {
  const text = headers["retry-after"];
  return text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) * 1000 : undefined;
}
