import { errorTable } from "../kernel/index.ts";

export const operationError = errorTable("operation", {
  audit_unwritable: {
    kind: "exhausted",
    meaning: "The record of an access could not be made durable, so the access did not happen.",
    hint: "Make the folder of the audit log writable, or name another one with `state:` in the policy.",
  },
  audit_locked: {
    kind: "locked",
    meaning: "Another process has held the lock of the audit log for longer than an append takes.",
  },
  audit_broken: {
    kind: "corrupt",
    meaning: "The end of the audit log is not what was written there.",
  },
  read_back_differs: {
    kind: "corrupt",
    meaning:
      "What was read back of the new snapshot is not what was stored; the run is no success.",
    hint: "Run `sparekeep check --read-data`, then back up again.",
  },
  policy_missing: {
    kind: "config",
    meaning: "There is no policy file where one was looked for.",
    hint: "Name it with --policy, write one with `sparekeep init`, or name a repository with --repository and --password-file.",
  },
  policy_unreadable: {
    kind: "config",
    meaning: "The policy file cannot be read, or is not UTF-8 text.",
  },
  ca_unreadable: {
    kind: "config",
    meaning:
      "The file of certificate authorities that `tls.ca` names cannot be read or holds none.",
    hint: "Name a PEM file with at least one certificate.",
  },
  file_exists: {
    kind: "usage",
    meaning: "`init` or `dump` was to write a file where one already is.",
    hint: "Name another file; an existing one is never overwritten.",
  },
  file_unwritable: {
    kind: "exhausted",
    meaning: "A file that was asked for cannot be written.",
    hint: "Check the folder, its rights and the free space.",
  },
  not_a_database_snapshot: {
    kind: "not-found",
    meaning: "The snapshot holds no manifest.json: it was not written by a backup of Sparekeep.",
    hint: "Choose a snapshot that `sparekeep snapshots` shows with a plan, or read it with `sparekeep ls` and `dump`.",
  },
  check_option: {
    kind: "usage",
    meaning: "What a check is to read is not said, or said in two ways.",
    hint: "Give one of --read-data, --read-data-subset and --rolling.",
  },
  checks_not_remembered: {
    kind: "usage",
    meaning:
      "A rolling check has no place to remember what it read: restic's REST protocol has no folder for records.",
    hint: "Name a store beside the repository with `beside:` in the policy, or check with --read-data-subset 1/7 on the first day, 2/7 on the second, and so on.",
  },
});
