import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { createTemporaryFolder } from "../../src/objectstore/testing/index.ts";

const run = promisify(execFile);

/** A keyring of its own, with private keys; its agent ends with it. */
export interface TestKeyring extends AsyncDisposable {
  readonly home: string;
  gpg(arguments_: readonly string[]): Promise<Buffer>;
  /** Answers with the fingerprint. `time` is when it is made, `20200101T000000`. */
  createKey(address: string, options?: KeyOptions): Promise<string>;
  /** The public key, armored, in a file of this keyring's folder. */
  exportKey(address: string): Promise<string>;
}

export interface KeyOptions {
  readonly time?: string;
  readonly expires?: string;
  readonly usage?: string;
  readonly passphrase?: string;
}

export async function createTestKeyring(): Promise<TestKeyring> {
  const folder = await createTemporaryFolder();
  const home = folder.path;
  const gpg = async (arguments_: readonly string[]): Promise<Buffer> => {
    const options = { encoding: "buffer" as const, maxBuffer: 64 * 1024 * 1024 };
    const args = ["--homedir", home, "--batch", "--no-tty", "--quiet", ...arguments_];
    return (await run("/usr/bin/gpg", args, options)).stdout;
  };
  return {
    home,
    gpg,
    createKey: async (
      address,
      { time, expires = "1y", usage = "default", passphrase = "" } = {},
    ) => {
      await gpg([
        ...(time === undefined ? [] : ["--faked-system-time", time]),
        "--pinentry-mode",
        "loopback",
        "--passphrase",
        passphrase,
        "--quick-gen-key",
        `Test <${address}>`,
        "default",
        usage,
        expires,
      ]);
      const listing = await gpg(["--with-colons", "--list-keys", address]);
      return /^fpr:+([0-9A-F]{40}):/m.exec(listing.toString())?.[1] ?? "";
    },
    exportKey: async (address) => {
      const path = join(home, `${address}.asc`);
      await writeFile(path, await gpg(["--armor", "--export", address]));
      return path;
    },
    [Symbol.asyncDispose]: async () => {
      await run("/usr/bin/gpgconf", ["--homedir", home, "--kill", "all"]);
      await folder[Symbol.asyncDispose]();
    },
  };
}
