import { errorTable } from "../kernel/index.ts";

/** The closed code table of the repository layer. */
export const repositoryError = errorTable("repository", {
  not_found: {
    kind: "not-found",
    meaning: "The place holds no repository: it has no `config`.",
    hint: "Check the location; `sparekeep init` creates one. Was it deleted? `sparekeep recover-versions` brings it back where the store keeps versions.",
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
  key_not_found: {
    kind: "usage",
    meaning: "No key of the repository has this id or prefix, or several have.",
    hint: "Run `sparekeep key list` and name one of its ids.",
  },
  key_in_use: {
    kind: "usage",
    meaning: "The key that opened the repository was to be removed, or no other key would open it.",
    hint: "Add another key, open the repository with its password, then remove this one.",
  },
  key_unproven: {
    kind: "corrupt",
    meaning:
      "A key that was just written could not be read back and opened with its password; the old key stays.",
    hint: "Run `sparekeep check`, then try again.",
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
  hold_not_found: {
    kind: "not-found",
    meaning: "No hold that is in force has this id or prefix, or several have.",
    hint: "List the holds of the repository.",
  },
  not_suspect: {
    kind: "usage",
    meaning: "A doubt about a snapshot was to be accepted where there is none.",
    hint: "List the snapshots; only those whose state is suspect are accepted.",
  },
  forget_outdated: {
    kind: "usage",
    meaning:
      "Between the plan to forget and its execution something changed, so that a snapshot of the plan may not be forgotten any more; nothing was removed.",
    hint: "Plan again and look at what is kept now.",
  },
  plan_used: {
    kind: "bug",
    meaning: "A destructive plan was executed a second time, or was not made by this repository.",
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
  versions_suspended: {
    kind: "config",
    meaning:
      "Old versions were to be put back in a store that keeps none of what is put over or removed now.",
    hint: "Turn the versioning of the bucket on again first, so that nothing is lost by it.",
  },
  object_lock_missing: {
    kind: "incompatible",
    meaning: "Recovery points were to be locked in a store that has no Object Lock.",
    hint: "Use a bucket with versioning and Object Lock turned on, or do without: no `lock:` in the policy, no --locks.",
  },
  object_lock_short: {
    kind: "incompatible",
    meaning:
      "The store holds an object for less long, or in a weaker mode, than it was told to. A backup commits no snapshot then.",
    hint: "Run `sparekeep doctor`: the bucket does not keep its locks.",
  },
  put_back_differs: {
    kind: "corrupt",
    meaning: "An object that was put back from an older version was read back with other bytes.",
    hint: "Make sure that nobody else writes to the store, then run the same command again.",
  },
  prune_plan_spent: {
    kind: "usage",
    meaning: "A prune plan was executed already, or was not made by this process.",
    hint: "Plan again: a plan is carried out once.",
  },
  prune_plan_stale: {
    kind: "unavailable",
    meaning: "Somebody else pruned, or rewrote the index, after this plan was made.",
    hint: "Plan again.",
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
    hint: "Run `sparekeep snapshots` and name one of its ids, or latest.",
  },
  snapshot_ambiguous: {
    kind: "usage",
    meaning: "Several snapshots begin with this prefix.",
    hint: "Give more digits of the snapshot's id.",
  },
  path_not_found: {
    kind: "not-found",
    meaning: "The snapshot holds nothing under this path.",
    hint: "Run `sparekeep ls` to see what the snapshot holds.",
  },
  not_a_file: {
    kind: "usage",
    meaning: "The content of a folder, symlink or device was asked for.",
    hint: "Name a file; `sparekeep ls` shows which there are.",
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
  copy_onto_itself: {
    kind: "usage",
    meaning: "A repository was to be copied into itself, or into a plain copy of its files.",
    hint: "Name another repository, created with `sparekeep init` and a password of its own.",
  },
  copy_differs: {
    kind: "corrupt",
    meaning: "What was copied is not whole when it is read back; the snapshot was not written.",
    hint: "Run the copy again; if it stays, run a check with --read-data on the target.",
  },
});
