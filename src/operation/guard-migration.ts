/*
 * effects
 *   reads         what two runs of `backup` read: the source's definitions, READ ONLY
 *   writes        audit records; two snapshots of the schema alone, their proofs; where the plan has `git`, a commit for each that changed something
 *   locks         those of `backup`, twice; none while the command runs
 *   leaves behind nothing
 *   exit codes    the command's own, 128 and the signal's number where one ended it; where the command ended well: 0; 3 the schema behind it is incomplete; those of `backup`; where it was not run: those of `backup`, 3 where the schema before it is incomplete
 */
import { AppError } from "../kernel/index.ts";
import { planNamed } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import { runCommand } from "../program/index.ts";
import type { CommandEnd } from "../program/index.ts";
import { recordAccess } from "./audit-log.ts";
import { backup } from "./backup.ts";
import type { OperationContext } from "./context.ts";
import { operationError } from "./errors.ts";
import { isKept } from "./guard-side.ts";
import type { GuardedSide } from "./guard-side.ts";

export interface GuardMigrationOptions {
  readonly policy: Policy;
  /** The only one that captures the schema when left out. */
  readonly plan?: string;
  readonly command: readonly [program: string, ...args: string[]];
  /** Why the command runs although the schema before it could not be kept. */
  readonly unguarded?: string;
  /** True where a Ctrl-C reaches the command by itself. */
  readonly terminal: boolean;
  readonly onBefore?: (before: GuardedSide) => void | Promise<void>;
}

export interface GuardedMigration {
  /** `undefined`: it was not run. */
  readonly command?: CommandEnd;
  readonly before: GuardedSide;
  readonly after?: GuardedSide;
}

export async function guardMigration(
  context: OperationContext,
  options: GuardMigrationOptions,
): Promise<GuardedMigration> {
  const { policy, unguarded } = options;
  const plan = schemaPlan(policy, options.plan);
  const environment = context.commandEnvironment;
  if (environment === undefined) {
    throw operationError("no_command", { message: "a place where no command can be run" });
  }
  await recordAccess(context, policy, "guard", {
    plan,
    ...(unguarded === undefined ? {} : { unguarded }),
  });
  const before = await side(context, policy, plan, "before a migration");
  await options.onBefore?.(before);
  if (!isKept(before) && unguarded === undefined) return { before };
  const [program, ...args] = options.command;
  const command = await runCommand({
    program,
    args,
    env: environment(secretVariables(policy)),
    signal: context.signal,
    passOn: () => passedOn(context.signal.reason, options.terminal),
  });
  // The command was interrupted, and what it left behind is what matters most: a second Ctrl-C ends this, too.
  const { signal } = new AbortController();
  const later = context.signal.aborted ? { ...context, signal } : context;
  return { before, command, after: await side(later, policy, plan, "after a migration") };
}

async function side(
  context: OperationContext,
  policy: Policy,
  plan: string,
  when: string,
): Promise<GuardedSide> {
  try {
    return { kind: "run", result: await backup(context, { policy, plan, when }) };
  } catch (error) {
    if (!(error instanceof AppError) || error.kind === "bug") throw error;
    if (error.kind === "cancelled" && when.startsWith("before")) throw error;
    return { kind: "error", error };
  }
}

function schemaPlan(policy: Policy, named: string | undefined): string {
  const plans = Object.entries(policy.plans).filter(([, { capture }]) => capture === "schema");
  const name = named ?? (plans.length === 1 ? plans[0]?.[0] : undefined);
  if (name === undefined) {
    const names = plans.map(([each]) => each).join(", ");
    throw operationError("no_schema_plan", {
      message:
        plans.length === 0
          ? "no plan that captures the schema"
          : `${plans.length} plans to choose from`,
      ...(plans.length === 0 ? {} : { hint: `Name one with --plan: ${names}.` }),
    });
  }
  if (planNamed(policy, name).capture === "schema") return name;
  throw operationError("no_schema_plan", {
    message: `plan ${name} that does not capture the schema`,
  });
}

/** The keys of the backups are none of the command's business; the source's address may well be. */
function secretVariables({ destinations }: Policy): readonly string[] {
  return Object.values(destinations).flatMap(({ password, credentials = {} }) => {
    const { access_key, secret_key, session_token, service_account } = credentials;
    const all = [
      password,
      access_key,
      secret_key,
      session_token,
      service_account,
      credentials.password,
    ];
    return all.flatMap((each) => (each !== undefined && "env" in each ? [each.env] : []));
  });
}

/** A Ctrl-C at a terminal reaches everything that runs there; a signal to us alone does not. */
function passedOn(reason: unknown, terminal: boolean): NodeJS.Signals | undefined {
  const named = reason instanceof AppError ? reason.subject["signal"] : undefined;
  if (named === "SIGTERM") return "SIGTERM";
  return terminal ? undefined : "SIGINT";
}
