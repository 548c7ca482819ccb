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
/** OpenSSL's words; Node gives them as a code or, while the handshake still runs, as text under EPROTO. */
const VERSION = /protocol version|unsupported protocol|version too low|no protocols available/i;
const NO_TLS = /wrong version number|packet length too long|http request/i;

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
  const words = handshakeWords(thrown, code);
  if (VERSION.test(words)) {
    return refuse(
      "server without a TLS version that is accepted here",
      "Have the server speak TLS 1.2 or newer, or lower tls.min of the destination to 1.2.",
    );
  }
  if (NO_TLS.test(words)) {
    return refuse("server that does not answer with TLS", "Check the port of the location.");
  }
  return undefined;
}

function handshakeWords(thrown: unknown, code: string): string {
  if (code.startsWith("ERR_SSL_")) return code.replaceAll("_", " ");
  return code === "EPROTO" && thrown instanceof Error ? thrown.message : "";
}
