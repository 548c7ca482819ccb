import { errorTable } from "../kernel/index.ts";

export const sourceError = errorTable("source", {
  snapshot_lost: {
    kind: "unavailable",
    meaning:
      "The session that holds the exported snapshot ended before everything was read under it.",
    hint: "Look for a restart or a terminated session in the server's log, then run again.",
  },
  budget_spent: {
    kind: "exhausted",
    meaning:
      "Reading took longer, or held VACUUM back further, than a capture may; nothing was stored as a snapshot.",
    hint: "Run it with more connections, from nearer to the server, or at a quieter hour.",
  },
  ddl_waited: {
    kind: "locked",
    meaning:
      "Another session waited for a lock that the backup held, for longer than the backup may let anybody wait; so the backup gave way.",
    hint: "Run it again when the migration is over; give the source more `lock_patience` only where the application can wait.",
  },
  too_few_connections: {
    kind: "unavailable",
    meaning:
      "The server, the role or the database allows too few more connections to read it and leave the application one.",
    hint: "Close connections that nobody needs, raise the limit that is named, or run at a quieter hour.",
  },
  standby_moment_unknown: {
    kind: "unavailable",
    meaning:
      "A standby that does not tell how far behind its primary it is, so that nobody could say from when its rows are.",
    hint: "Give the role pg_read_all_stats, or run again once the standby has replayed a transaction.",
  },
  no_table_found: {
    kind: "not-found",
    meaning:
      "None of the tables that the plan names is in the database, or none of them holds rows.",
    hint: "Correct the names in the plan; a name with upper-case letters stands as it is in the database.",
  },
  row_count_differs: {
    kind: "corrupt",
    meaning: "The rows received are not as many as the server says that it sent.",
    hint: "Run again; where it stays, look for a proxy between here and the server.",
  },
  slot_in_use: {
    kind: "locked",
    meaning: "A logical slot is to be dropped, and its reader takes it again whenever it is ended.",
    hint: "Stop what reads the slot, then run again.",
  },
  rewritten: {
    kind: "unavailable",
    meaning:
      "A table was truncated or rewritten between the snapshot and the locks of pg_dump, so that its rows are in neither.",
    hint: "Run again when the migration is over.",
  },
  dump_unreadable: {
    kind: "corrupt",
    meaning: "What pg_dump wrote is an archive that pg_restore cannot read to its end.",
    hint: "Look at the disk and memory of this machine, then run again.",
  },
  dump_unread: {
    kind: "corrupt",
    meaning: "A program ended well without having read all of a dump.",
    hint: "Run again; where it stays, look at the versions of pg_restore and gpg.",
  },
  catalog_unreadable: {
    kind: "incompatible",
    meaning: "A catalog query gave something that no supported server gives.",
    hint: "Report this with the server's version.",
  },
});
