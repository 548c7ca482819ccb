import { AppError, throwIfAborted } from "../kernel/index.ts";
import type { Policy, SecretReference } from "../policy/index.ts";
import { resolveSecret } from "../secrets/index.ts";
import type { OperationContext } from "./context.ts";
import type { Finding } from "./finding.ts";

interface Held {
  readonly destination: string;
  readonly class: string;
  readonly what: string;
  readonly value: string;
}

/**
 * That secrets of one class open nothing of another, by their values: that two references differ, which the policy's own
 * check sees, says nothing of what they hold. One that cannot be read was not compared, and is said to be. docs/spec/policy.md, P6
 */
export async function classFindings(
  context: OperationContext,
  { destinations }: Policy,
): Promise<readonly Finding[]> {
  const subject = "classes";
  const held: Held[] = [];
  const unread: string[] = [];
  for (const [destination, { class: named, password, credentials }] of Object.entries(
    destinations,
  )) {
    if (named === undefined) continue;
    const { password: serverPassword, ...keys } = credentials ?? {};
    const secrets: Readonly<Record<string, SecretReference | string | undefined>> = {
      ...keys,
      "server's password": serverPassword,
      password,
    };
    for (const [what, reference] of Object.entries(secrets)) {
      if (typeof reference !== "object") continue;
      const value = await valueOf(context, reference);
      if (value === undefined) unread.push(`${what} of ${destination}`);
      else held.push({ destination, class: named, what, value });
    }
  }
  if (held.length + unread.length === 0) return [];
  const shared = held.flatMap((one, i) =>
    held
      .slice(0, i)
      .filter((other) => other.value === one.value && other.class !== one.class)
      .map((other) => finding(subject, one, other)),
  );
  if (unread.length > 0) {
    const message = `not compared, since it cannot be read: ${unread.join(", ")}`;
    const fix = "See what is said of its destination.";
    return [...shared, { status: "warn", subject, message, fix }];
  }
  if (shared.length > 0) return shared;
  return [{ status: "ok", subject, message: "no class holds a secret of another" }];
}

function finding(subject: string, one: Held, other: Held): Finding {
  return {
    status: "fail",
    subject,
    message: `${one.what} of ${one.destination} (class ${one.class}) is ${other.what} of ${other.destination} (class ${other.class})`,
    fix: one.what.includes("password")
      ? "Give one of them a password of its own: `sparekeep key passwd`."
      : "Give each class credentials of its own.",
  };
}

async function valueOf(
  { env, signal }: OperationContext,
  reference: SecretReference,
): Promise<string | undefined> {
  try {
    return (await resolveSecret(reference, env)).reveal();
  } catch (thrown) {
    throwIfAborted(signal);
    if (!(thrown instanceof AppError) || thrown.kind === "bug") throw thrown;
    // Its destination cannot be opened then, and that is a finding of its own.
    return undefined;
  }
}
