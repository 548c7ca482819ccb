import { expect, test } from "vitest";
import { tlsError } from "./network-errors.ts";

function thrown(code: string, message = ""): Error {
  return Object.assign(new Error(message), { code });
}

test.for([
  ["CERT_HAS_EXPIRED", "", "not valid now"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "", "no trusted authority"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "", "no trusted authority"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "", "another name"],
  ["ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", "", "TLS version"],
  ["EPROTO", "tls_process: tlsv1 alert protocol version", "TLS version"],
  ["ERR_SSL_WRONG_VERSION_NUMBER", "", "does not answer with TLS"],
] as const)("%s %s is final", ([code, message, words]) => {
  const error = tlsError(thrown(code, message), { bucket: "b" });
  expect(error?.code).toBe("objectstore.tls_refused");
  expect(error?.message).toContain(words);
  expect(error?.hint).toBeTruthy();
});

test.for(["ECONNRESET", "ETIMEDOUT", "ENOTFOUND", "EAI_AGAIN", "EPIPE", "EPROTO"])(
  "%s may pass",
  (code) => {
    expect(tlsError(thrown(code), {})).toBeUndefined();
  },
);
