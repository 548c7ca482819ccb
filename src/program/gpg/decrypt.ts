import type { Bytes, Secret } from "../../kernel/index.ts";
import { lastWords } from "../collect-output.ts";
import { programError } from "../errors.ts";
import { runProgram } from "../run-program.ts";
import { withoutStatus } from "./keyring.ts";

export interface DecryptOptions {
  readonly gpg: string;
  /** The key holder's own, which is read and not changed. */
  readonly home: string;
  /** What pinentry needs to ask a person: GPG_TTY, DISPLAY and their kin. */
  readonly env: Readonly<Record<string, string>>;
  /** In place of a person who is asked by gpg's agent. */
  readonly passphrase?: Secret | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The plaintext, as it comes: nothing is proven of it before this has ended without an error, which it does only after gpg
 * compared the message with its own hash.
 */
export function decrypt(
  ciphertext: AsyncIterable<Bytes>,
  options: DecryptOptions,
): AsyncGenerator<Bytes, void, undefined> {
  const { gpg, home, passphrase } = options;
  const asked =
    passphrase === undefined ? [] : ["--pinentry-mode", "loopback", "--passphrase-fd", "3"];
  return runProgram({
    program: gpg,
    args: [
      "--no-options",
      "--batch",
      "--no-tty",
      "--quiet",
      "--homedir",
      home,
      "--status-fd",
      "2",
      "--no-auto-key-locate",
      "--max-output",
      "0",
      ...asked,
      "--output",
      "-",
      "--decrypt",
    ],
    env: { LC_ALL: "C", PATH: "/usr/bin:/bin", HOME: home, ...options.env },
    cwd: "/",
    stdin: ciphertext,
    secret: passphrase,
    signal: options.signal,
    judge: (exit, stderr) => {
      const whole = /^\[GNUPG:\] DECRYPTION_OKAY$/m.test(stderr);
      const sound = /^\[GNUPG:\] GOODMDC$/m.test(stderr);
      if (exit.code === 0 && whole && sound) return;
      throw programError("decryption_failed", {
        message: `gpg ended with ${exit.signal ?? exit.error?.message ?? `exit code ${exit.code}`}: ${lastWords(withoutStatus(stderr))}`,
        subject: { gnupgHome: home },
      });
    },
  });
}
