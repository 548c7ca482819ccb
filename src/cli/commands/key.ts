import type { Command } from "commander";
import { counted, EXIT_INCOMPLETE } from "../../kernel/index.ts";
import {
  addRepositoryKey,
  changeRepositoryPassword,
  listRepositoryKeys,
  planKeyAdoption,
  planKeyRemoval,
} from "../../operation/index.ts";
import type { KeyList, PasswordChange } from "../../operation/index.ts";
import { given, policyOf } from "../common-options.ts";
import type { RepositoryFlags } from "../common-options.ts";
import { confirmByTyping, requireAnswer } from "../confirm.ts";
import { printable } from "../printable.ts";
import type { RunVerb, Verb } from "../verb.ts";
import type { CliRuntime } from "../runtime.ts";
import type { Session } from "../session.ts";
import { formatTable } from "../table.ts";
import { registerCopies } from "./key-copies.ts";
import { addSecretOptions, secretOf, subcommand } from "./key-flags.ts";
import { timeText } from "../time-text.ts";

export const keyVerb: Verb = {
  examples: [
    ["sparekeep key list", "who can open the repository, and keys that nobody vouches for"],
    ["sparekeep key add --username ann --hostname laptop", "a key of her own, its password typed"],
    ["sparekeep key passwd --new-password-file new", "change the password of the policy"],
    ["sparekeep key remove 1a2b3c4d", "a person has left"],
    ["sparekeep key unwrap --identity ~/.age/me.txt --out password", "the password is lost"],
  ],
  register: (program: Command, run, runtime) => {
    const key = program
      .command("key")
      .description(
        "who can open a repository: keys, wrapped and paper copies of its password (each has --json)",
      )
      .helpCommand(false);
    registerList(key, run);
    registerAdd(key, run, runtime);
    registerPasswd(key, run, runtime);
    registerRemove(key, run, runtime);
    registerAdopt(key, run, runtime);
    registerCopies(key, run, runtime);
    return key;
  },
};

function registerList(key: Command, run: RunVerb): void {
  subcommand(key, "list", [["sparekeep key list", "every key, and who added it"]])
    .description("list the keys of a repository")
    .action((flags: RepositoryFlags) =>
      run(flags, async ({ context, output, json, document }) => {
        const result = await listRepositoryKeys(context, await options(flags));
        if (json) await document(result);
        else for (const line of describeList(result)) await output.line(line);
        return 0;
      }),
    );
}

interface NewFlags extends RepositoryFlags {
  readonly newPasswordFile?: string;
  readonly newPasswordEnv?: string;
  readonly allowWeak?: boolean;
  readonly username?: string;
  readonly hostname?: string;
}

function addNewPassword(command: Command): Command {
  return addSecretOptions(command, "new-password", "new password").option(
    "--allow-weak",
    "take a password that is easy to guess, and say why it is",
  );
}

async function newPassword(runtime: CliRuntime, flags: NewFlags) {
  const what = "new password";
  const { newPasswordFile: file, newPasswordEnv: env } = flags;
  const from = { file, env, name: "new-password", what, isNew: true };
  return {
    newPassword: await secretOf(runtime, from),
    allowWeak: flags.allowWeak === true,
  };
}

function registerAdd(key: Command, run: RunVerb, runtime: CliRuntime): void {
  const command = subcommand(key, "add", [
    ["sparekeep key add --username ann --hostname laptop", "her password is typed twice"],
    ["sparekeep key add --hostname web2 --new-password-file web2.password", "for a machine"],
  ]).description("add a key: another password, for one person or machine");
  addNewPassword(command)
    .option("--username <name>", "whose key it is (default: who runs this)")
    .option("--hostname <name>", "of which machine (default: this one)")
    .action((flags: NewFlags) =>
      run(flags, async ({ context, output, json, document }) => {
        const result = await addRepositoryKey(context, {
          ...(await options(flags)),
          ...given("username", flags.username),
          ...given("hostname", flags.hostname),
          ...(await newPassword(runtime, flags)),
        });
        if (json) await document(result);
        else {
          await output.line(printable(`added key ${result.key.slice(0, 8)} of ${result.owner}`));
          for (const line of weakness(result.weakness)) await output.line(line);
        }
        return 0;
      }),
    );
}

function registerPasswd(key: Command, run: RunVerb, runtime: CliRuntime): void {
  const command = subcommand(key, "passwd", [
    [
      "sparekeep key passwd --new-password-file new.password",
      "then name new.password in the policy",
    ],
    ["sparekeep key passwd", "the new password is typed twice"],
  ]).description("change the password of the key in use (exit 3 where the old key remains)");
  addNewPassword(command).action((flags: NewFlags) =>
    run(flags, async ({ context, output, json, document }) => {
      const result = await changeRepositoryPassword(context, {
        ...(await options(flags)),
        ...(await newPassword(runtime, flags)),
      });
      if (json) await document(result);
      else for (const line of describeChange(result)) await output.line(line);
      return result.outcome === "complete" ? 0 : EXIT_INCOMPLETE;
    }),
  );
}

interface PlanFlags extends RepositoryFlags {
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

function addPlanOptions(command: Command): Command {
  return command
    .option("--dry-run", "show what would be done and stop")
    .option("--yes", "carry it out without asking");
}

function registerRemove(key: Command, run: RunVerb, runtime: CliRuntime): void {
  const command = subcommand(key, "remove", [
    ["sparekeep key remove 1a2b3c4d", "after `key list`; its password opens nothing afterwards"],
  ])
    .description("remove a key, never the last and never the one in use (exit 3 where it remains)")
    .argument("<key>", "id, or its first digits");
  addPlanOptions(command).action((id: string, flags: PlanFlags) =>
    run(flags, async (session) => {
      const plan = await planKeyRemoval(session.context, { ...(await options(flags)), key: id });
      const short = plan.key.id.slice(0, 8);
      const lines = [
        `Remove key ${short} of ${ownerOf(plan.key)} from ${plan.location}; ${plan.keysLeft} would be left.`,
        "Its owner may have read the repository's master key with it: that one stays the same.",
      ];
      const shown = { key: plan.key, keysLeft: plan.keysLeft };
      if (!(await agreed(session, runtime, flags, lines, shown, short))) return 0;
      const result = await plan.execute();
      if (session.json) await session.document({ plan: shown, ...result });
      else if (result.outcome === "complete") await session.output.line(`removed key ${short}`);
      else await session.output.line(printable(stillOpens(plan.key.id, result.reason ?? "")));
      return result.outcome === "complete" ? 0 : EXIT_INCOMPLETE;
    }),
  );
}

function registerAdopt(key: Command, run: RunVerb, runtime: CliRuntime): void {
  const command = subcommand(key, "adopt", [
    ["sparekeep key adopt --by 'Ann Meier'", "she has looked at every key that is shown"],
  ])
    .description("vouch for keys that were not added through Sparekeep, by name, once seen")
    .argument("[keys...]", "ids or their first digits (default: every key that is unknown)")
    .requiredOption("--by <name>", "the person who vouches for them");
  addPlanOptions(command).action((ids: string[], flags: PlanFlags & { readonly by: string }) =>
    run(flags, async (session) => {
      const plan = await planKeyAdoption(session.context, {
        ...(await options(flags)),
        by: flags.by,
        ...given("keys", ids.length === 0 ? undefined : ids),
      });
      if (plan.keys.length === 0) {
        if (session.json) await session.document({ plan: { keys: [] }, adopted: 0 });
        else await session.output.line("no key that is unknown");
        return 0;
      }
      const lines = [`${flags.by} vouches for:`, ...keyTable(plan.keys)];
      const shown = { by: flags.by, keys: plan.keys };
      if (!(await agreed(session, runtime, flags, lines, shown, "adopt"))) return 0;
      await plan.execute();
      if (session.json) await session.document({ plan: shown, adopted: plan.keys.length });
      else await session.output.line(`adopted ${counted(plan.keys.length, "key")}`);
      return 0;
    }),
  );
}

/** The plan on the screen, then a word to be typed. False after --dry-run. */
async function agreed(
  { output, json, document }: Session,
  runtime: CliRuntime,
  flags: PlanFlags,
  lines: readonly string[],
  plan: unknown,
  word: string,
): Promise<boolean> {
  requireAnswer("a change of keys with --json and", json, flags);
  if (!json) for (const line of lines) await output.line(printable(line));
  if (flags.dryRun === true) {
    if (json) await document({ plan });
    return false;
  }
  if (flags.yes !== true) await confirmByTyping(runtime, `Type ${word} to go on:`, word);
  return true;
}

async function options(flags: RepositoryFlags) {
  return { policy: await policyOf(flags), ...given("destination", flags.destination) };
}

type KeyLine = KeyList["keys"][number];

function ownerOf({ username, hostname }: KeyLine): string {
  return `${username ?? "?"}@${hostname ?? "?"}`;
}

const STATES: Readonly<Record<KeyLine["state"], string>> = {
  known: "",
  unknown: "not added through Sparekeep",
  removed: "removed, and there all the same",
};

function keyTable(keys: readonly KeyLine[]): string[] {
  const rows = keys.map((key) => [
    `${key.id.slice(0, 8)}${key.current ? "*" : ""}`,
    ownerOf(key),
    key.created === undefined ? "?" : timeText(key.created.toISOString()),
    key.record === undefined ? "-" : `${key.record.action} by ${key.record.by}`,
    [STATES[key.state], key.damage ?? ""].filter((text) => text !== "").join("; "),
  ]);
  return formatTable(["KEY", "OWNER", "CREATED", "RECORD", "ALERT"], rows);
}

function describeList(result: KeyList): string[] {
  const unknown = result.keys.filter(({ state }) => state !== "known").length;
  return [
    ...keyTable(result.keys),
    "* opened the repository now",
    ...(unknown === 0
      ? []
      : [
          `warning: ${unknown} of ${counted(result.keys.length, "key")} that nobody vouches for`,
          "  fix: adopt what is yours with `sparekeep key adopt`, remove the rest",
        ]),
    ...(result.damagedRecords.length === 0
      ? []
      : [`warning: ${result.damagedRecords.length} records of keys that cannot be read`]),
    ...(result.wrapped === "outdated"
      ? [
          "warning: no copy of the password for exactly the owners of the policy",
          "  fix: run `sparekeep key wrap`",
        ]
      : []),
  ].map(printable);
}

function describeChange(result: PasswordChange): string[] {
  const { remains, remainingCopies, wrapped } = result;
  return [
    `added key ${result.key.slice(0, 8)} with the new password`,
    ...(wrapped === undefined ? [] : ["wrapped the new password for the owners"]),
    ...(remains === undefined
      ? [`removed key ${(result.removed ?? "").slice(0, 8)} with the old one`]
      : [stillOpens(remains.key, remains.reason)]),
    ...(remainingCopies.length === 0
      ? []
      : [`incomplete: ${remainingCopies.length} wrapped copies of the old password remain`]),
    ...weakness(result.weakness),
    "Put the new password where the policy reads it now, and make a new paper copy: `sparekeep key escrow`.",
  ].map(printable);
}

function stillOpens(key: string, reason: string): string {
  return `incomplete: key ${key.slice(0, 8)} remains and still opens the repository (${reason}); remove it with credentials that may delete`;
}

function weakness(found: string | undefined): string[] {
  return found === undefined ? [] : [`warning: a password ${found}`];
}
