import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface Certificates {
  readonly caFile: string;
  readonly caPem: string;
  readonly keyFile: string;
  readonly certificateFile: string;
}

/** An authority of our own in this folder, and a certificate of it for `localhost` and 127.0.0.1. */
export async function createCertificates(folder: string): Promise<Certificates> {
  const at = (name: string): string => join(folder, name);
  const openssl = async (line: string): Promise<void> => {
    await run("openssl", line.split(" "), { cwd: folder });
  };
  const newKey = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
  await writeFile(at("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
  await openssl(
    `req -x509 ${newKey} -keyout ca.key -out ca.crt -days 2 -subj /CN=sparekeep-test-ca`,
  );
  await openssl(`req ${newKey} -keyout server.key -out server.csr -subj /CN=localhost`);
  await openssl(
    "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt",
  );
  return {
    caFile: at("ca.crt"),
    caPem: await readFile(at("ca.crt"), "utf8"),
    keyFile: at("server.key"),
    certificateFile: at("server.crt"),
  };
}
