/** Extensions through which a database reaches outside: left out by every restore until they are released (I5). */
export const REACHING_EXTENSIONS = [
  "dblink",
  "file_fdw",
  "http",
  "mysql_fdw",
  "oracle_fdw",
  "pg_cron",
  "pg_net",
  "postgres_fdw",
  "tds_fdw",
  "wrappers",
] as const;
