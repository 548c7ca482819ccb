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
  not_a_repository: {
    kind: "usage",
    meaning: "A repository was needed, and the destination named keeps plain files.",
  },
  not_a_file_store: {
    kind: "usage",
    meaning: "A destination of plain files was needed, and the one named is a repository.",
  },
  not_a_point_plan: {
    kind: "usage",
    meaning:
      "A plan that makes portable dumps was named where one is needed that makes recovery points.",
  },
  not_a_dump_plan: {
    kind: "usage",
    meaning: "A plan of portable dumps was needed, and the one named captures something else.",
  },
  ambiguous: {
    kind: "usage",
    meaning: "The policy defines several plans, destinations or targets and none was named.",
  },
});
