import { z } from "zod";

export type Refine = { issues: z.core.$ZodRawIssue[] };

export function refuse(context: Refine, input: unknown, message: string, fix: string): never {
  context.issues.push({ code: "custom", message, params: { fix }, input });
  return z.NEVER;
}

/** Read by `read`, refused with `fix` where it answers `undefined`. */
export function readBy<Value>(
  what: string,
  fix: string,
  read: (text: string) => Value | undefined,
): z.ZodType<Value> {
  return z.unknown().transform((value, context): Value => {
    const found = typeof value === "string" ? read(value) : undefined;
    return found ?? refuse(context, value, what, fix);
  });
}
