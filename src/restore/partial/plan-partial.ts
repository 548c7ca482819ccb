import { planIntoSchema } from "./into-schema.ts";
import { planMerge } from "./merge.ts";
import { openPartialSession } from "./session.ts";
import type { PartialOptions, PartialPlan } from "./types.ts";

/**
 * Less than everything, into a database that lives: docs/spec/partial-restore.md. Writes nothing but temporary tables of
 * its own session, which stays open until the plan is executed or disposed of.
 */
export async function planPartialRestore(options: PartialOptions): Promise<PartialPlan> {
  const session = await openPartialSession(options);
  try {
    const { form } = options;
    return form.kind === "merge"
      ? await planMerge(session, options)
      : await planIntoSchema(session, options, form.schema);
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
}
