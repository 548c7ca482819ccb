import { errorTable } from "../kernel/index.ts";

export const accessError = errorTable("access", {
  chain_broken: {
    kind: "corrupt",
    meaning:
      "The audit log was changed, cut or damaged: a record is not the one that the next record, or the head, names.",
  },
});
