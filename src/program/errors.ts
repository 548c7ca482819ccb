import { errorTable } from "../kernel/index.ts";

export const programError = errorTable("program", {
  missing: {
    kind: "config",
    meaning: "A program that this work needs is not on this machine.",
    hint: "Install it, or put its folder into PATH.",
  },
  failed: {
    kind: "unavailable",
    meaning: "A program ended with an error; the message holds the last lines that it wrote.",
  },
  timeout: {
    kind: "unavailable",
    meaning: "A program did not end within its deadline and was ended.",
  },
  push_refused: {
    kind: "unavailable",
    meaning: "A git repository did not take a commit: somebody else's came first every time.",
    hint: "Run again; nothing was lost, and the schema lies in the repository of backups.",
  },
});
