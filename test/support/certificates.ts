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
  readonly caFile: string;
  readonly keyFile: string;
  readonly certificateFile: string;
  /** File with key and certificate, as servers in C++ take them. */
  readonly serverFile: string;
}

/** An authority that nobody knows, and a certificate of it for these names and for no other. */
export async function createCertificates(
  folder: string,
  names: readonly string[] = ["DNS:localhost"],
): Promise<Certificates> {
  const at = (name: string): string => join(folder, name);
  const openssl = async (line: string): Promise<void> => {
    await run("openssl", line.split(" "), { cwd: folder });
  };
  const newKey = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
  const isAuthority = "-addext basicConstraints=critical,CA:TRUE";
  await writeFile(at("names"), `subjectAltName=${names.join(",")}\n`);
  await openssl(
    `req -x509 ${newKey} -keyout ca.key -out ca.crt -days 2 -subj /CN=sparekeep-test-ca ${isAuthority}`,
  );
  await openssl(`req ${newKey} -keyout tls.key -out tls.csr -subj /CN=localhost`);
  await openssl(
    "x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out tls.crt",
  );
  const authority = await readFile(at("ca.crt"), "utf8");
  const certificate = await readFile(at("tls.crt"), "utf8");
  const key = await readFile(at("tls.key"), "utf8");
  await writeFile(at("tls.pem"), key + certificate, { mode: 0o600 });
  return {
    authority,
    certificate,
    key,
    caFile: at("ca.crt"),
    keyFile: at("tls.key"),
    certificateFile: at("tls.crt"),
    serverFile: at("tls.pem"),
  };
}
