import { errorTable } from "../kernel/index.ts";

/** The closed code table of the repository layer. */
export const repositoryError = errorTable("repository", {
  not_found: {
    kind: "not-found",
    meaning: "The place holds no repository: it has no `config`.",
    hint: "Check the location, or create a repository there first.",
  },
  already_exists: {
    kind: "usage",
    meaning: "A repository was to be created where one already is.",
    hint: "Choose another location, or use the repository that is there.",
  },
  wrong_password: {
    kind: "auth",
    meaning: "No key of the repository opens with this password.",
    hint: "Check which password belongs to this repository.",
  },
  incompatible: {
    kind: "incompatible",
    meaning:
      "The repository's format version, or a key's cost, is not one that Sparekeep works with.",
    hint: "Run `restic migrate upgrade_repo_v2` on a repository of format version 1.",
  },
  key_damaged: {
    kind: "corrupt",
    meaning: "A key file is not what its name (its SHA-256) says, or cannot be read as a key.",
    hint: "Restore the file under keys/ from another copy of the repository.",
  },
  config_damaged: {
    kind: "corrupt",
    meaning: "The repository's `config` cannot be opened with the master key, or is not a config.",
    hint: "Restore the file `config` from another copy of the repository.",
  },
  index_damaged: {
    kind: "corrupt",
    meaning: "An index file is not what its name says, or is not an index.",
    hint: "Run `sparekeep repair index`, then a check with --read-data.",
  },
  blob_damaged: {
    kind: "corrupt",
    meaning: "Every stored copy of a blob fails its MAC, its compression or its hash.",
    hint: "Run a check with --read-data to learn what is affected, then `sparekeep repair packs`.",
  },
  blob_not_found: {
    kind: "corrupt",
    meaning: "A tree or snapshot refers to a blob that no index places, or whose pack is gone.",
    hint: "Run a check; if a prune ran at the same time, open the repository again.",
  },
  tree_damaged: {
    kind: "corrupt",
    meaning: "A tree blob decrypts but is not a tree, or is nested beyond any true folder.",
    hint: "Run a check to learn which snapshots are affected, then `sparekeep repair snapshots`.",
  },
  snapshot_damaged: {
    kind: "corrupt",
    meaning: "A snapshot file is not what its name says, or is not a snapshot.",
    hint: "Run a check, then remove the damaged snapshot or restore it from another copy.",
  },
  record_damaged: {
    kind: "corrupt",
    meaning:
      "A record of ours beside the repository (a hold, a proof, a check) is not what its name says, or cannot be read.",
    hint: "Restore the file under sparekeep/ from another copy of the repository.",
  },
  lock_damaged: {
    kind: "corrupt",
    meaning: "A lock file cannot be read, so it is unknown whether its owner still works.",
    hint: "Run `restic unlock` once nobody works on the repository.",
  },
  locked: {
    kind: "locked",
    meaning: "Another process holds a lock that excludes this one.",
    hint: "Wait until it has finished, or run `restic unlock` if it is known to be dead.",
  },
  lock_lost: {
    kind: "unavailable",
    meaning:
      "The writer's lock was removed, or could not be refreshed in time; nothing was committed.",
    hint: "Run the backup again; what was uploaded already is found and used.",
  },
  repair_plan_stale: {
    kind: "usage",
    meaning:
      "A repair's plan was carried out before, or the repository is no longer what the plan was made of.",
    hint: "Plan the repair again and look at what it says now.",
  },
  pack_not_found: {
    kind: "not-found",
    meaning: "The repository has no pack of this id.",
    hint: "Take the ids from what `sparekeep check --read-data` found.",
  },
  snapshot_not_found: {
    kind: "not-found",
    meaning: "No snapshot has this id or prefix, or the repository has none.",
    hint: "List the snapshots of the repository.",
  },
  snapshot_ambiguous: {
    kind: "usage",
    meaning: "Several snapshots begin with this prefix.",
    hint: "Give more digits of the snapshot's id.",
  },
  path_not_found: {
    kind: "not-found",
    meaning: "The snapshot holds nothing under this path.",
    hint: "List the snapshot's contents.",
  },
  not_a_file: {
    kind: "usage",
    meaning: "The content of a folder, symlink or device was asked for.",
    hint: "Name a file.",
  },
  invalid_path: {
    kind: "usage",
    meaning: "An entry's path is empty, too deep, or goes through an entry that is a file.",
  },
  duplicate_path: {
    kind: "usage",
    meaning: "Two entries of one snapshot have the same path.",
  },
  writer_closed: {
    kind: "bug",
    meaning:
      "A snapshot writer was used after its commit or disposal, or committed with files unfinished.",
  },
  seal_mismatch: {
    kind: "corrupt",
    meaning:
      "A blob that was just sealed did not open to the same bytes: memory or processor are at fault.",
    hint: "Test the machine's memory before trusting it with a backup.",
  },
  sealer_failed: {
    kind: "exhausted",
    meaning:
      "A thread that seals blobs or verifies packs ended before its work did, most often for want of memory.",
    hint: "Give the process more memory, then run again; what was uploaded already is used.",
  },
  target_exists: {
    kind: "usage",
    meaning: "A file to be restored is in the way of one that is already there.",
    hint: "Restore into an empty folder, or allow overwriting.",
  },
  target_unsafe: {
    kind: "usage",
    meaning: "A restored path would go through a symlink or something else that is no folder.",
    hint: "Restore into an empty folder.",
  },
  target_failed: {
    kind: "exhausted",
    meaning: "The system refused to create or write a restored file (disk full, no permission).",
    hint: "Free space or choose another target, then restore again.",
  },
});
