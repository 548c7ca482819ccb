import { errorTable } from "../kernel/index.ts";

export const secretsError = errorTable("secrets", {
  missing: {
    kind: "config",
    meaning: "The environment variable or the file that should hold a secret is not there.",
  },
  exposed: {
    kind: "config",
    meaning: "The file that holds a secret can be read or written by others than its owner.",
  },
  empty: { kind: "config", meaning: "The environment variable or the file holds nothing." },
  unreadable: {
    kind: "config",
    meaning: "The file that should hold a secret cannot be read, or is no ordinary small file.",
  },
});
