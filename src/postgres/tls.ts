import { readFile } from "node:fs/promises";
import type { ConnectionOptions } from "node:tls";
import { postgresError } from "./errors.ts";
import type { ConnectionTarget } from "./target.ts";

/** False: no TLS. `require` and `verify-ca` are accepted on this machine only and prove nothing about the server. */
export async function tlsOptions(target: ConnectionTarget): Promise<ConnectionOptions | false> {
  if (target.sslMode === "disable") return false;
  const [ca, cert, key] = await Promise.all([
    readPem(target.sslRootCert),
    readPem(target.sslCert),
    readPem(target.sslKey),
  ]);
  return {
    minVersion: target.sslMinVersion ?? "TLSv1.2",
    rejectUnauthorized: target.sslMode === "verify-full",
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

async function readPem(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw postgresError("invalid_url", {
      message: `certificate file ${path} of the connection string is not readable`,
      hint: "Name a readable PEM file.",
      cause: error,
    });
  }
}
