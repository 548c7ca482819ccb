import { errorTable } from "../src/kernel/index.ts";

export const demoError = errorTable("demo", {
  programs_missing: {
    kind: "config",
    meaning:
      "PostgreSQL's server programs (initdb, postgres, pg_ctl, psql, pg_dump) were found nowhere.",
    hint: "Install PostgreSQL 14 or newer, or name its folder of programs in SPAREKEEP_PG_BIN.",
  },
  programs_old: {
    kind: "config",
    meaning: "The PostgreSQL that was found is older than the demo's database needs.",
    hint: "Install PostgreSQL 14 or newer, or name its folder of programs in SPAREKEEP_PG_BIN.",
  },
  no_server_user: {
    kind: "config",
    meaning: "PostgreSQL refuses to run as root, and no unprivileged user exists to run it as.",
    hint: "Run it as an ordinary user.",
  },
  cluster_start: {
    kind: "unavailable",
    meaning: "A throwaway PostgreSQL could not be initialised or started.",
  },
  script: {
    kind: "bug",
    meaning: "A SQL script of the demo or of a test stopped with an error.",
  },
  keep_not_empty: {
    kind: "usage",
    meaning: "The folder of --keep holds files already; nothing is ever overwritten.",
    hint: "Name a folder that is empty or does not exist.",
  },
  usage: {
    kind: "usage",
    meaning: "An argument of the demo that it does not know, or one without its value.",
    hint: "Run it with --help.",
  },
  different: {
    kind: "objective-missed",
    meaning: "The restored database differs from the source.",
    hint: "Report this with the differences that are printed.",
  },
});
