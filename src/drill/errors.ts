import { errorTable } from "../kernel/index.ts";

export const drillError = errorTable("drill", {
  server_missing: {
    kind: "config",
    meaning:
      "A drill needs PostgreSQL's server programs of the source's major version, to restore into.",
  },
  no_server_user: {
    kind: "config",
    meaning: "PostgreSQL refuses to run as root, and no ordinary user is here to run it.",
    hint: "Run the drill as an ordinary user, or create the user postgres.",
  },
  cluster_failed: {
    kind: "unavailable",
    meaning: "The throwaway PostgreSQL of a drill did not start, or ended before it was told to.",
    hint: "Look at free space and memory of this machine, then run again.",
  },
  restore_failed: {
    kind: "objective-missed",
    meaning:
      "The dump did not come back: pg_restore gave up, or a table is missing or has other rows than the source had.",
    hint: "Take an older dump meanwhile, and run the plan again.",
  },
});
