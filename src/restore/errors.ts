import { errorTable } from "../kernel/index.ts";

export const restoreError = errorTable("restore", {
  target_is_source: {
    kind: "usage",
    meaning:
      "The target is the database that the snapshot was taken of, perhaps under another name.",
    hint: "Restore under another name and rename it afterwards, or name another server.",
  },
  target_not_empty: {
    kind: "usage",
    meaning: "The target database holds something that is not ours.",
    hint: "Restore into an empty database, or let `--create` make one.",
  },
  target_exists: {
    kind: "usage",
    meaning: "A database of this name exists already, and the restore was asked to create it.",
    hint: "Choose another name, or leave out `--create` if the database is empty.",
  },
  target_missing: {
    kind: "not-found",
    meaning: "There is no database of this name at the target.",
    hint: "Add `--create` to have it created.",
  },
  target_too_old: {
    kind: "incompatible",
    meaning: "The target server is of an older major version than the source was.",
    hint: "Restore into a server of the same or a newer major version.",
  },
  target_refuses: {
    kind: "auth",
    meaning: "The login at the target may not do what the restore must do there.",
  },
  platform_superuser: {
    kind: "usage",
    meaning: "The target is a project of a platform, and the login its superuser.",
    hint: "Connect as postgres: whose objects are whose is told by who made them.",
  },
  role_collision: {
    kind: "usage",
    meaning:
      "A role that owns objects of the source is a superuser at the target, or can become one.",
    hint: "Use a target whose superuser has another name, or pass --trust-source.",
  },
  builder_refused: {
    kind: "auth",
    meaning: "The target does not let the temporary role that builds log in with its password.",
    hint: "Let roles log in by scram-sha-256 in the target's pg_hba.conf, or restore as an ordinary role.",
  },
  archive_damaged: {
    kind: "corrupt",
    meaning: "The schema archive of the snapshot cannot be read to its end.",
    hint: "Run `sparekeep check --read-data`, and restore another snapshot meanwhile.",
  },
  archive_unsupported: {
    kind: "incompatible",
    meaning: "The schema archive has a format that this version of Sparekeep does not read.",
    hint: "Use a newer version of Sparekeep, or the snapshot's own restore.sh.",
  },
  file_differs: {
    kind: "corrupt",
    meaning: "A file of the snapshot is not what its manifest says.",
    hint: "Run `sparekeep check --read-data`, and restore another snapshot meanwhile.",
  },
  object_refused: {
    kind: "incompatible",
    meaning: "One object cannot be restored safely here; it is listed, and the rest goes on.",
  },
  target_unfinished: {
    kind: "usage",
    meaning: "Something is to be released in a database whose restore has not come to its end.",
    hint: "Run the restore again: it goes on where it ended.",
  },
  release_runs: {
    kind: "locked",
    meaning: "Another release runs in the same database.",
    hint: "Wait for its end.",
  },
  item_unknown: {
    kind: "usage",
    meaning: "Nothing that this snapshot's restore left out has that name.",
    hint: "Run `sparekeep release` without --item: it lists what there is.",
  },
  item_refused: {
    kind: "usage",
    meaning: "An item cannot be released here, or not yet.",
  },
  superuser_refused: {
    kind: "usage",
    meaning:
      "Rows were to be restored into a database that lives by a superuser, as whom its checks, defaults and index expressions would run.",
    hint: "Connect as the owner of the tables, or pass --trust-source.",
  },
  table_missing: {
    kind: "not-found",
    meaning: "Rows were to be merged into a table that the target does not have.",
    hint: "Restore it into a schema of its own with --into-schema, or create it first.",
  },
  no_key: {
    kind: "incompatible",
    meaning:
      "Rows of the table cannot be told apart: it has neither a primary key nor a unique index over NOT NULL columns.",
    hint: "Restore it into a schema of its own with --into-schema, and move the rows yourself; choose them with --where.",
  },
  key_mismatch: {
    kind: "usage",
    meaning: "A key that was named does not have the columns, or the types, of the table's key.",
    hint: "Write a key of several columns as JSON: --key 'TABLE=[[\"a\", 1]]'.",
  },
  key_not_found: {
    kind: "not-found",
    meaning: "The snapshot holds no row of a key that was named.",
    hint: "Choose an older snapshot, or see what it holds with `sparekeep export`.",
  },
  condition_refused: {
    kind: "usage",
    meaning: "The target's server does not take the condition that was given with --where.",
    hint: "Write one SQL expression over the table's columns, as it would stand behind WHERE.",
  },
  rows_refused: {
    kind: "incompatible",
    meaning: "A row of the snapshot holds a value that a type of the target does not take.",
    hint: "Add what the type lacks (a label of an enum, say), or export the table with `sparekeep export`.",
  },
  rows_hidden: {
    kind: "auth",
    meaning:
      "Row security would show the login a part of a table only, so rows that stand would be taken for missing.",
    hint: "Connect as the owner of the table, or as a role with BYPASSRLS.",
  },
  triggers_fire: {
    kind: "auth",
    meaning:
      "Something of the application would run because a row comes back, and the login may not switch it off.",
    hint: "Connect as a role that may set session_replication_role (on Supabase: postgres), or as the owner of the table.",
  },
  merge_conflicts: {
    kind: "incompatible",
    meaning: "The plan of a merge holds conflicts, and nothing is written while it does.",
    hint: "Leave these rows out with --key or --where, put right what stands in the way, or use --into-schema.",
  },
  merge_outcome_unknown: {
    kind: "unavailable",
    meaning:
      "The connection was lost while a merge was being committed: all of it was done, or nothing.",
    hint: "Run the same command with --dry-run: it shows what still differs.",
  },
  merge_stale: {
    kind: "usage",
    meaning:
      "What stands in the target changed between the plan and its execution; nothing was written.",
    hint: "Plan again.",
  },
  merge_unproven: {
    kind: "incompatible",
    meaning: "After the merge the rows were not what they had to be, so all of it was rolled back.",
    hint: "Use --into-schema, and look at the rows there.",
  },
  orphans: {
    kind: "incompatible",
    meaning:
      "After the merge a row would refer to one that is not there, so all of it was rolled back.",
    hint: "Restore the table that is named with it, or leave the rows out.",
  },
  schema_taken: {
    kind: "usage",
    meaning:
      "The schema to restore into holds something, belongs to somebody else, or is reserved.",
    hint: "Name a schema that does not exist.",
  },
  plan_spent: {
    kind: "usage",
    meaning: "A plan was executed a second time.",
    hint: "Plan again.",
  },
});
