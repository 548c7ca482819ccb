import { errorTable } from "../kernel/index.ts";

export const policyError = errorTable("policy", {
  invalid: {
    kind: "config",
    meaning:
      "The policy file breaks the schema; each problem is named with file, line and column and its fix.",
  },
  unknown_name: {
    kind: "usage",
    meaning: "A plan, source, destination or target was named that the policy does not define.",
  },
  ambiguous: {
    kind: "usage",
    meaning: "The policy defines several plans, destinations or targets and none was named.",
  },
});
