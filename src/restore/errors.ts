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
  plan_spent: {
    kind: "usage",
    meaning: "A plan was executed a second time.",
    hint: "Plan again.",
  },
});
