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
    meaning: "`init`, `dump` or `export` was to write a file where one already is.",
    hint: "Name another file (of `init`: with --policy); an existing one is never overwritten.",
  },
  file_unwritable: {
    kind: "exhausted",
    meaning: "A file that was asked for cannot be written.",
    hint: "Check the folder, its rights and the free space.",
  },
  export_option: {
    kind: "usage",
    meaning:
      "What an export is to hold is not said, or is said in a way that cannot be carried out.",
    hint: "See `sparekeep export --help`.",
  },
  export_binary: {
    kind: "incompatible",
    meaning:
      "The table is stored as COPY binary, since it holds values that text cannot carry; CSV, JSON and SQL are text.",
    hint: "Restore the snapshot and read the table there, or load its files with `COPY … FROM STDIN (FORMAT binary)`.",
  },
  export_differs: {
    kind: "corrupt",
    meaning:
      "The rows of an export are not those that the manifest counts: what came out is no copy of the table.",
    hint: "Throw the output away, run `sparekeep check --read-data`, and export from another snapshot.",
  },
  table_not_in_snapshot: {
    kind: "not-found",
    meaning:
      "The snapshot holds no rows of a table by that name. A partitioned table's rows are in its partitions; views hold none.",
    hint: "Look with `sparekeep ls SNAPSHOT database/tables`; of a partitioned table name the partitions.",
  },
  no_point_of_plan: {
    kind: "not-found",
    meaning: "The repository holds no snapshot of the plan.",
    hint: "See `sparekeep snapshots`.",
  },
  rows_option: {
    kind: "usage",
    meaning:
      "Which rows of which tables are to be restored is not said, or is said in a way that cannot be carried out.",
    hint: "See `sparekeep restore --help`.",
  },
  dump_exists: {
    kind: "usage",
    meaning: "The name of a new portable dump is taken: nothing is ever overwritten.",
    hint: "Run it tomorrow, or add {time} to `name:` of the plan so that a day may have several.",
  },
  dump_differs: {
    kind: "corrupt",
    meaning:
      "A portable dump is not what its manifest says, or its manifest is not what was recorded.",
    hint: "Keep the file as evidence, take an older one, and run the plan again.",
  },
  dump_left_behind: {
    kind: "unavailable",
    meaning:
      "A dump failed after its file was stored, and the store did not remove the file; it has no manifest and is no dump.",
    hint: "Remove the file by hand, or let `sparekeep dumps` show it as one without a manifest.",
  },
  dump_unproven: {
    kind: "not-found",
    meaning: "A portable dump, or the manifest beside it, is not there.",
    hint: "List them with `sparekeep dumps`.",
  },
  spool_unwritable: {
    kind: "exhausted",
    meaning: "The encrypted dump could not be written into the folder for temporary files.",
    hint: "Free space there, or name another folder with TMPDIR.",
  },
  no_keep_rules: {
    kind: "usage",
    meaning: "Nothing says what `forget` is to keep, or two places do.",
    hint: "Write `keep:` into the plans of the policy, or give --keep-... with --repository.",
  },
  no_room_for_records: {
    kind: "usage",
    meaning:
      "A hold or an acceptance was asked for at a destination behind restic's REST protocol, which has no place for records.",
    hint: "Name a folder with `beside:` at the destination, then run again.",
  },
  not_a_database_snapshot: {
    kind: "not-found",
    meaning: "The snapshot holds no manifest.json: it was not written by a backup of Sparekeep.",
    hint: "Choose a snapshot that `sparekeep snapshots` shows with a plan, or read it with `sparekeep ls` and `dump`.",
  },
  no_provider: {
    kind: "usage",
    meaning: "The policy says nothing of the provider's own backups, or not of this source.",
    hint: "Add `provider:` with the source's name and what you expect to the policy.",
  },
  no_management_token: {
    kind: "usage",
    meaning: "The source has no access token of Supabase's Management API.",
    hint: "Give the source kind: supabase, its project and a management_token.",
  },
  no_project_point: {
    kind: "not-found",
    meaning: "No point of the source holds the configuration of its project.",
    hint: "Run `sparekeep backup` with a management_token at the source, then compare.",
  },
  project_is_source: {
    kind: "usage",
    meaning: "A configuration was to be put into a project that the policy protects.",
    hint: "Name a target; to take the project back to its own settings add --same-project.",
  },
  project_plan_outdated: {
    kind: "usage",
    meaning:
      "The project is not as it was when the plan of its configuration was shown, or that plan ran already.",
    hint: "Look at the new plan.",
  },
  provider_other_project: {
    kind: "config",
    meaning: "The connection of a source leads to another project than the one it names.",
    hint: "Compare `project` and `connection` of the source.",
  },
  provider_busy: {
    kind: "incompatible",
    meaning: "The project is paused, restoring, upgrading or otherwise in no state to be restored.",
    hint: "Wait until it is ACTIVE_HEALTHY; follow a restore that runs with --follow.",
  },
  provider_no_window: {
    kind: "incompatible",
    meaning:
      "The project has no point-in-time recovery; a daily backup can be restored in the dashboard alone.",
    hint: "Restore a daily backup in the dashboard, or a point of your own with `sparekeep restore`.",
  },
  provider_outside_window: {
    kind: "usage",
    meaning: "The provider cannot go back to this moment.",
    hint: "Name a moment within the window, or restore a point of your own with `sparekeep restore`.",
  },
  provider_plan_stale: {
    kind: "usage",
    meaning: "What the plan showed changed before it was carried out; nothing was done.",
    hint: "Look at the plan again.",
  },
  provider_plan_spent: {
    kind: "bug",
    meaning: "A plan of a recovery was carried out a second time.",
  },
  provider_restore_failed: {
    kind: "unavailable",
    meaning: "The provider says that its restore failed.",
    hint: "Open a ticket with the provider; restore a point of your own with `sparekeep restore` meanwhile.",
  },
  provider_restore_not_seen: {
    kind: "unavailable",
    meaning: "A restore was to be followed, and the project's status never said that one runs.",
    hint: "Look into the dashboard before anything else: whether the restore was taken is not known.",
  },
  schema_only: {
    kind: "usage",
    meaning: "The snapshot holds definitions and no rows: it is no backup of the database.",
    hint: "Choose a snapshot of another plan; `sparekeep dump SNAPSHOT database/schema.dump` writes the definitions.",
  },
  no_schema_plan: {
    kind: "usage",
    meaning: "`guard` was to keep the schema, and no plan, or several, capture it.",
    hint: "Define a plan with `capture: schema`, or name one with --plan.",
  },
  git_author_missing: {
    kind: "config",
    meaning: "A commit has no author: neither the policy nor the environment names one.",
    hint: 'Write `author: "Name <address>"` beside `git`, or set GIT_AUTHOR_NAME and GIT_AUTHOR_EMAIL.',
  },
  no_command: {
    kind: "usage",
    meaning: "A command was to be run by something that runs none.",
  },
  no_copies: {
    kind: "usage",
    meaning: "A copy was asked for that the policy does not name under `copies` of a destination.",
    hint: "Name the other destination under `copies:` of the one that it copies.",
  },
  erased: {
    kind: "not-found",
    meaning:
      "The file was taken out of this snapshot on purpose; the record of the erasure says when, by whom and why.",
  },
  rekey_same_password: {
    kind: "usage",
    meaning: "The new repository was to have the password of the old one, which may be known.",
    hint: "Give the new repository a password of its own.",
  },
  rekey_target_taken: {
    kind: "usage",
    meaning: "The repository to move to holds snapshots that do not come from the old one.",
    hint: "Name a place that holds no repository yet.",
  },
  weak_password: {
    kind: "usage",
    meaning: "A new password is too easy to guess for whoever gets hold of a key file.",
    hint: "Use a random one, for example of `openssl rand -base64 32`, or accept the risk with --allow-weak.",
  },
  padded_password: {
    kind: "usage",
    meaning:
      "A password begins or ends with white space, which files, wrapped and paper copies of it do not keep: they would open nothing.",
    hint: "Take one without, with `sparekeep key passwd` where it is in use already.",
  },
  owners_missing: {
    kind: "config",
    meaning: "The password was to be wrapped, and the policy names no owners of the destination.",
    hint: "Add `owners: [age1…]` to the destination; `age-keygen` makes such a key.",
  },
  owner_invalid: {
    kind: "config",
    meaning: "A recipient among the owners is not one that age accepts.",
    hint: "Write the public key that `age-keygen -y` prints.",
  },
  identity_invalid: {
    kind: "usage",
    meaning: "The identity file holds no age identity.",
    hint: "Name the file that `age-keygen` wrote; one with a passphrase is opened with `age -d` first.",
  },
  identity_unfit: {
    kind: "auth",
    meaning: "The identity opens none of the wrapped copies of the password.",
    hint: "Use the identity of an owner, or run `sparekeep key wrap` with the owner's recipient in the policy.",
  },
  wrap_missing: {
    kind: "not-found",
    meaning: "Beside the repository lies no wrapped copy of its password.",
    hint: "Name owners in the policy and run `sparekeep key wrap`.",
  },
  wrap_damaged: {
    kind: "corrupt",
    meaning: "A wrapped copy of the password is not what its name says, or no age file.",
    hint: "Run `sparekeep key wrap`, or use the paper copy.",
  },
  paper_mistyped: {
    kind: "usage",
    meaning: "Lines of a paper copy are missing or do not match their checksums.",
    hint: "Compare the named lines with the paper, character by character.",
  },
  passphrase_wrong: {
    kind: "auth",
    meaning: "The passphrase does not open the paper copy.",
    hint: "The lines are typed right, so try the passphrase again.",
  },
  check_option: {
    kind: "usage",
    meaning: "What a check is to read is not said, or said in two ways.",
    hint: "Give one of --read-data, --read-data-subset and --rolling.",
  },
  no_way_in: {
    kind: "unavailable",
    meaning:
      "Neither the project's own address nor its session pooler gave two sessions that share a snapshot; the message says what each one answered.",
  },
  project_unclear: {
    kind: "usage",
    meaning:
      "`init` cannot tell which Supabase project is meant, or lacks what is needed to reach it.",
  },
  checks_not_remembered: {
    kind: "usage",
    meaning:
      "A rolling check has no place to remember what it read: restic's REST protocol has no folder for records.",
    hint: "Name a store beside the repository with `beside:` in the policy, or check with --read-data-subset 1/7 on the first day, 2/7 on the second, and so on.",
  },
});
