import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface Certificates {
  /** PEM. */
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
  /** File with key and certificate, as servers in C++ take them. */
  readonly serverFile: string;
}

/** An authority that nobody knows, and a certificate of it for `localhost` and for no other name. */
export async function createCertificates(folder: string): Promise<Certificates> {
  const at = (name: string): string => join(folder, name);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const authority = ["-subj", "/CN=Sparekeep test authority", "-days", "2"];
  await run(
    "openssl",
    [
      ["req", "-x509", ...key, "-keyout", at("ca.key"), "-out", at("ca.crt"), ...authority],
      ["-addext", "basicConstraints=critical,CA:TRUE"],
    ].flat(),
  );
  await run(
    "openssl",
    [
      ["req", ...key, "-keyout", at("tls.key"), "-out", at("tls.csr"), "-subj", "/CN=localhost"],
    ].flat(),
  );
  await writeFile(at("tls.ext"), "subjectAltName=DNS:localhost\n");
  await run(
    "openssl",
    [
      ["x509", "-req", "-in", at("tls.csr"), "-out", at("tls.crt"), "-days", "2"],
      ["-CA", at("ca.crt"), "-CAkey", at("ca.key"), "-CAcreateserial", "-extfile", at("tls.ext")],
    ].flat(),
  );
  const read = (name: string): Promise<string> => readFile(at(name), "utf8");
  const [ca, certificate, secret] = await Promise.all(["ca.crt", "tls.crt", "tls.key"].map(read));
  if (ca === undefined || certificate === undefined || secret === undefined) {
    throw new Error("no certificates");
  }
  await writeFile(at("tls.pem"), secret + certificate, { mode: 0o600 });
  return { authority: ca, certificate, key: secret, serverFile: at("tls.pem") };
}
