import type { Command } from "commander";
import { collectBytes, counted, EXIT_INCOMPLETE } from "../../kernel/index.ts";
import {
  escrowKey,
  proveKey,
  readSheet,
  savePassword,
  unwrapPassword,
  wrapPassword,
} from "../../operation/index.ts";
import type { KeyCopy, KeyProof, WrappedForOwners } from "../../operation/index.ts";
import { given, policyOf } from "../common-options.ts";
import type { RepositoryFlags } from "../common-options.ts";
import { cliError } from "../errors.ts";
import { printable } from "../printable.ts";
import type { RunVerb } from "../verb.ts";
import type { CliRuntime } from "../runtime.ts";
import { addSecretOptions, policyWithoutPassword, secretOf, subcommand } from "./key-flags.ts";
import { timeText } from "../time-text.ts";

/** Copies of the password: for its owners, and on paper. */
export function registerCopies(key: Command, run: RunVerb, runtime: CliRuntime): void {
  registerWrap(key, run);
  registerUnwrap(key, run, runtime);
  registerEscrow(key, run, runtime);
  registerProve(key, run, runtime);
}

function registerWrap(key: Command, run: RunVerb): void {
  subcommand(key, "wrap", [["sparekeep key wrap", "after `owners:` of the policy has changed"]])
    .description("wrap the password for the policy's owners (exit 3 where an old copy remains)")
    .action((flags: RepositoryFlags) =>
      run(flags, async ({ context, output, json, document }) => {
        const result = await wrapPassword(context, {
          policy: await policyOf(flags),
          ...given("destination", flags.destination),
        });
        if (json) await document(result);
        else for (const line of describeWrap(result)) await output.line(line);
        return result.outcome === "complete" ? 0 : EXIT_INCOMPLETE;
      }),
    );
}

function describeWrap(result: WrappedForOwners): string[] {
  const { file, owners, created, removed, remaining, formerOwners } = result;
  const verb = created ? "wrapped the password for" : "is wrapped already for";
  return [
    `${verb} ${owners.length} owners: sparekeep/owners/${file.slice(0, 8)}….age`,
    ...(removed.length === 0 ? [] : [`removed ${removed.length} older copies`]),
    ...(remaining.length === 0
      ? []
      : [`incomplete: ${remaining.length} older copies remain, which the store refuses to remove`]),
    ...formerOwners.map((owner) => `no owner any more: ${owner}`),
    ...(formerOwners.length === 0
      ? []
      : ["They may have kept the password: change it with `sparekeep key passwd`."]),
  ].map(printable);
}

interface CopyFlags extends RepositoryFlags {
  readonly identity?: string;
  readonly escrow?: string;
  readonly passphraseFile?: string;
  readonly passphraseEnv?: string;
}

function addCopyOptions(command: Command): Command {
  command
    .option("--identity <file>", "an owner's age identity, of mode 0600")
    .option("--escrow <file>", "the typed lines of a paper copy; - reads standard input");
  return addSecretOptions(command, "passphrase", "passphrase of the paper copy");
}

async function copyOf(runtime: CliRuntime, flags: CopyFlags): Promise<KeyCopy | undefined> {
  const { identity, escrow } = flags;
  if (identity !== undefined && escrow !== undefined) {
    throw cliError("usage", {
      message: "both an identity and a paper copy",
      hint: "Give one of --identity and --escrow.",
    });
  }
  if (identity !== undefined) return { kind: "identity", file: identity };
  if (escrow === undefined) return undefined;
  const text =
    escrow === "-"
      ? Buffer.from(await collectBytes(runtime.stdin)).toString("utf8")
      : await readSheet(escrow);
  return { kind: "escrow", text, passphrase: await passphraseOf(runtime, flags, false) };
}

function passphraseOf(runtime: CliRuntime, flags: CopyFlags, isNew: boolean) {
  const what = "passphrase of the paper copy";
  const { passphraseFile: file, passphraseEnv: env } = flags;
  return secretOf(runtime, { file, env, name: "passphrase", what, isNew });
}

function registerUnwrap(key: Command, run: RunVerb, runtime: CliRuntime): void {
  const command = subcommand(key, "unwrap", [
    [
      "sparekeep key unwrap --identity me.txt --out password",
      "the password is lost, not the owner",
    ],
    [
      "sparekeep key unwrap --repository /mnt/backup --escrow sheet.txt --out password",
      "on a fresh machine, from paper",
    ],
  ]).description(
    "get the password back from a wrapped or a paper copy; it is tried before it is given",
  );
  addCopyOptions(command)
    .option("--out <file>", "write it to this new file of mode 0600")
    .option("--show", "print it on standard output")
    .action((flags: CopyFlags & { readonly out?: string; readonly show?: boolean }) =>
      run(flags, async ({ context, output, json, document }) => {
        if ((flags.out === undefined) === (flags.show !== true)) {
          throw cliError("usage", {
            message: "no one place for the password",
            hint: "Give one of --out FILE and --show.",
          });
        }
        const copy = await copyOf(runtime, flags);
        if (copy === undefined) {
          throw cliError("usage", {
            message: "no copy to unwrap",
            hint: "Give one of --identity FILE and --escrow FILE.",
          });
        }
        const policy = await policyWithoutPassword(flags);
        const destination = given("destination", flags.destination);
        const found = await unwrapPassword(context, { policy, ...destination, copy });
        const { location, repository, key: id, password } = found;
        if (flags.out !== undefined) await savePassword(password, flags.out);
        if (json) {
          const shown = flags.show === true ? { password: password.reveal() } : {};
          await document({ location, repository, key: id, ...given("file", flags.out), ...shown });
        } else if (flags.out === undefined) await output.line(password.reveal());
        else {
          await output.line(
            printable(
              `wrote the password to ${flags.out}; it opens ${location} with key ${id.slice(0, 8)}`,
            ),
          );
        }
        return 0;
      }),
    );
}

interface EscrowFlags extends CopyFlags {
  readonly out: string;
  readonly allowWeak?: boolean;
}

function registerEscrow(key: Command, run: RunVerb, runtime: CliRuntime): void {
  const command = subcommand(key, "escrow", [
    [
      "sparekeep key escrow --out sheet.html",
      "print it; the passphrase is typed and kept elsewhere",
    ],
  ]).description("write a paper copy of the password, locked with a passphrase");
  addSecretOptions(command, "passphrase", "passphrase of the paper copy")
    .requiredOption("--out <file>", "new file; .html makes a page to print, anything else text")
    .option("--allow-weak", "take a passphrase that is easy to guess, and say why it is")
    .action((flags: EscrowFlags) =>
      run(flags, async ({ context, output, json, document }) => {
        const policy = await policyOf(flags);
        const result = await escrowKey(context, {
          policy,
          ...given("destination", flags.destination),
          passphrase: await passphraseOf(runtime, flags, true),
          allowWeak: flags.allowWeak === true,
          output: flags.out,
        });
        if (json) await document(result);
        else {
          const lines = [
            `wrote ${counted(result.lines, "line")} to ${result.file}, which were read back and opened`,
            ...(result.weakness === undefined ? [] : [`warning: a passphrase ${result.weakness}`]),
            "Print it, keep the passphrase elsewhere, and try it: `sparekeep key prove --escrow FILE`.",
          ];
          for (const line of lines) await output.line(printable(line));
        }
        return 0;
      }),
    );
}

function registerProve(key: Command, run: RunVerb, runtime: CliRuntime): void {
  const command = subcommand(key, "prove", [
    [
      "sparekeep key prove --escrow sheet.txt",
      "does the paper in the safe still open the backups?",
    ],
    ["sparekeep key prove --identity me.txt", "does the copy that is wrapped for me?"],
    ["sparekeep key prove", "does the password that I remember?"],
  ]).description(
    "show that a copy of the password opens the repository (exit 12 where it does not)",
  );
  addCopyOptions(command).action((flags: CopyFlags) =>
    run(flags, async ({ context, output, json, document }) => {
      const policy = await policyWithoutPassword(flags);
      const copy = (await copyOf(runtime, flags)) ?? (await typedPassword(runtime));
      const destination = given("destination", flags.destination);
      const result = await proveKey(context, { policy, ...destination, copy });
      if (json) await document(result);
      else for (const line of describeProof(result)) await output.line(line);
      return 0;
    }),
  );
}

async function typedPassword(runtime: CliRuntime): Promise<KeyCopy> {
  const from = { file: undefined, env: undefined, name: "", what: "password", isNew: false };
  if (runtime.stdin.isTTY !== true) {
    throw cliError("usage", {
      message: "nothing to prove and no terminal to type a password on",
      hint: "Give one of --identity FILE and --escrow FILE.",
    });
  }
  return { kind: "password", password: await secretOf(runtime, from) };
}

function describeProof(result: KeyProof): string[] {
  const since = result.created === undefined ? "" : `, made ${timeText(result.created)}`;
  return [
    `proven at ${timeText(result.provenAt)}: opens ${result.location} with key ${result.key.slice(0, 8)} of ${result.owner ?? "?"}${since}`,
    ...(result.staleCopies.length === 0
      ? []
      : [
          `warning: ${result.staleCopies.length} other copies of an old password`,
          "  fix: run `sparekeep key wrap`",
        ]),
  ].map(printable);
}
