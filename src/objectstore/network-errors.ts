import type { AppError } from "../kernel/index.ts";
import { objectStoreError } from "./errors.ts";
import { errnoOf } from "./fs-errors.ts";

/** As OpenSSL's verification and Node's check of names call them. */
const UNTRUSTED = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "CERT_UNTRUSTED",
  "CERT_REJECTED",
  "CERT_SIGNATURE_FAILURE",
  "INVALID_CA",
  "INVALID_PURPOSE",
]);
const OUT_OF_DATE = new Set(["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID", "CERT_REVOKED"]);
const VERSION = /PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|VERSION_TOO_LOW|NO_PROTOCOLS_AVAILABLE/;

/**
 * A server that we do not trust, or do not speak with: final, and no matter of patience. Everything else that a network
 * throws may pass; `undefined` then.
 */
export function tlsError(thrown: unknown, subject: Record<string, string>): AppError | undefined {
  const code = errnoOf(thrown) ?? "";
  const refuse = (message: string, hint: string): AppError =>
    objectStoreError("tls_refused", { message, hint, subject, cause: thrown });
  if (UNTRUSTED.has(code)) {
    return refuse(
      `server whose certificate no trusted authority signed (${code})`,
      "Name the file of the authority's certificate in tls.ca of the destination.",
    );
  }
  if (OUT_OF_DATE.has(code)) {
    return refuse(
      `server whose certificate is not valid now (${code})`,
      "Renew the server's certificate, and check the clock of this machine.",
    );
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return refuse(
      "server whose certificate is for another name",
      "Write the host of the location as the certificate names it.",
    );
  }
  if (VERSION.test(code)) {
    return refuse(
      "server without a TLS version that is accepted here",
      "Have the server speak TLS 1.2 or newer, or lower tls.min of the destination to 1.2.",
    );
  }
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "ERR_SSL_PACKET_LENGTH_TOO_LONG") {
    return refuse("server that does not answer with TLS", "Check the port of the location.");
  }
  return undefined;
}
