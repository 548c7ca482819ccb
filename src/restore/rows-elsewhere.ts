import type { DatabaseManifest } from "../manifest/index.ts";
import type { RestorePlan } from "./types.ts";

/** Tables whose rows the plan of the point left to another one: no restore of this point alone is the whole. */
export function rowsElsewhere({ leftTo = [] }: DatabaseManifest): RestorePlan["withheld"] {
  return leftTo.map(({ schema, name, plan }) => ({
    object: `rows of ${schema}.${name}`,
    reason: `not in this point: plan ${plan} keeps them, and \`sparekeep export --format sql\` of its newest point brings them`,
  }));
}
