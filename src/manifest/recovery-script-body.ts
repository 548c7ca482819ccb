/** The fixed part of restore.sh. `@WORDS@` are replaced by quoted words (recovery-script.ts). POSIX sh. */
export const SCRIPT_BODY = String.raw`#!/bin/sh
# Brings this backup back into an empty database, with psql and pg_restore alone. RECOVERY.md says how.
# Written by Sparekeep together with the backup. Exit codes: 0 all there, 3 something is missing, else it stopped.
set -eu

if [ $# -ne 1 ]; then
  echo "usage: ./restore.sh TARGET_CONNECTION_URI   (an empty database; password in ~/.pgpass or PGPASSWORD)" >&2
  exit 2
fi
target=$1
cd "$(dirname "$0")"
archive=@ARCHIVE@
source_system=@SYSTEM@
source_oid=@DATABASE_OID@
source_database=@DATABASE@
source_version=@SOURCE_VERSION@
owner_name=@OWNER@
owner_text=@OWNER_TEXT@
roles=@ROLES@
limited=@LIMITED@
rows_encoding=@ROWS_ENCODING@
elsewhere=@ELSEWHERE@
missing=0
builder=
work=$(mktemp -d)

# Whatever role or server are set to: text is read as it was written.
PGCLIENTENCODING=UTF8 PGTZ=UTC PGDATESTYLE='ISO, YMD'
PGOPTIONS='-c intervalstyle=postgres -c extra_float_digits=3 -c lc_monetary=C -c standard_conforming_strings=on -c statement_timeout=0 -c lock_timeout=0 -c row_security=off -c search_path= -c client_min_messages=warning -c synchronous_commit=off -c check_function_bodies=off'
export PGCLIENTENCODING PGTZ PGDATESTYLE PGOPTIONS

stop() { echo "restore.sh: $1" >&2; exit "$2"; }
say() { echo "restore.sh: $1"; }
at_end() {
  status=$?
  rm -rf "$work"
  if [ "$status" -ne 0 ] && [ "$status" -ne 2 ] && [ "$status" -ne 3 ]; then
    echo "restore.sh: stopped. The database is incomplete: drop it, create it again, run this again." >&2
    [ -z "$builder" ] || echo "restore.sh: role $builder stays behind; it goes with DROP OWNED and DROP ROLE." >&2
  fi
}
trap at_end EXIT
trap 'exit 130' INT TERM HUP

command -v psql >/dev/null || stop "psql not found" 2
command -v pg_restore >/dev/null || stop "pg_restore not found" 2

# The login that was named. Its sessions look names up in the system's own schema only.
admin() { psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$target" "$@"; }
# Who builds: the temporary role, or that login itself.
build() {
  if [ -n "$builder" ]; then
    PGHOST=$host PGPORT=$port PGDATABASE=$database PGUSER=$builder PGPASSWORD=$secret \
      psql -X -q -A -t -v ON_ERROR_STOP=1 "$@"
  else
    admin "$@"
  fi
}
build_archive() {
  if [ -n "$builder" ]; then
    PGHOST=$host PGPORT=$port PGUSER=$builder PGPASSWORD=$secret pg_restore -d "$database" "$@" "$archive"
  else
    pg_restore -d "$target" "$@" "$archive"
  fi
}

facts=$(admin -c "SELECT current_setting('server_version_num')") || stop "target not reachable" 1
[ "$((facts / 10000))" -ge "$((source_version / 10000))" ] || stop "the target server is older than the source was" 2
superuser=$(admin -c "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user")
system=$(admin -c "SELECT system_identifier FROM pg_catalog.pg_control_system()")
oid=$(admin -c "SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()")
host=$(printf '%s\n' '\echo :HOST' | admin -f -)
port=$(printf '%s\n' '\echo :PORT' | admin -f -)
database=$(printf '%s\n' '\echo :DBNAME' | admin -f -)
case $target in
  *sslmode=*) PGSSLMODE=$(printf '%s' "$target" | sed "s/.*sslmode=//; s/[^a-z-].*//"); export PGSSLMODE ;;
esac
case $target in
  *sslrootcert=*) PGSSLROOTCERT=$(printf '%s' "$target" | sed "s/.*sslrootcert=//; s/[&' ].*//"); export PGSSLROOTCERT ;;
esac

if [ "$system" = "$source_system" ]; then
  if [ "$oid" = "$source_oid" ] || [ "$database" = "$source_database" ]; then
    stop "this is the database that the backup was taken of: restore under another name and rename it afterwards" 2
  fi
fi

found=$(admin -c "SELECT pg_catalog.count(*) FROM (
    SELECT oid FROM pg_catalog.pg_class WHERE relnamespace::regnamespace::text !~ '^pg_(toast|temp)'
    UNION ALL SELECT oid FROM pg_catalog.pg_proc
    UNION ALL SELECT oid FROM pg_catalog.pg_type
    UNION ALL SELECT oid FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'
    UNION ALL SELECT oid FROM pg_catalog.pg_extension
    UNION ALL SELECT 16384 FROM pg_catalog.pg_largeobject_metadata) AS o WHERE oid >= 16384")
[ "$found" = 0 ] || stop "the target database is not empty" 2

say "reading the archive to its end"
[ -e "$archive" ] || stop "no file $archive: restore the whole snapshot, and run this from there" 2
pg_restore -f /dev/null "$archive" || stop "$archive is damaged" 20
pg_restore -l "$archive" >"$work/all.list"

# What would act by itself or reach elsewhere stays out: event triggers, publications, subscriptions, extensions that
# call out, foreign servers with their tables and user mappings.
awk '!/^;/ && !($4 == "EVENT" && $5 == "TRIGGER") && $4 != "PUBLICATION" && $4 != "SUBSCRIPTION" &&
     !($4 == "EXTENSION" && $6 ~ /^(@REACHING@)$/) && !($4 == "COMMENT" && $6 == "EXTENSION" && $7 ~ /^(@REACHING@)$/) &&
     $4 != "SERVER" && !($4 == "FOREIGN" && $5 == "TABLE") && !($4 == "ACL" && $6 == "FOREIGN") &&
     !($4 == "USER" && $5 == "MAPPING") && !($4 == "COMMENT" && ($6 == "EVENT" || $6 == "PUBLICATION" || $6 == "SUBSCRIPTION"))' \
  "$work/all.list" >"$work/wanted.list"
if [ "$limited" = 1 ]; then
  say "this backup is no whole database: it holds the rows of some tables alone (RECOVERY.md names them); the others come back empty"
  # Rows that foreign keys refer to may not be here: what they are is kept for later.
  awk '($4 == "FK" && $5 == "CONSTRAINT") || ($4 == "COMMENT" && $6 == "CONSTRAINT")' "$work/wanted.list" >"$work/foreign.list"
  awk '!($4 == "FK" && $5 == "CONSTRAINT") && !($4 == "COMMENT" && $6 == "CONSTRAINT")' "$work/wanted.list" >"$work/kept.list"
  mv "$work/kept.list" "$work/wanted.list"
  if [ -s "$work/foreign.list" ]; then
    pg_restore -f foreign-keys.sql -L "$work/foreign.list" "$archive" || stop "foreign-keys.sql cannot be written" 1
    say "foreign keys are left out; they are in foreign-keys.sql"
  fi
fi
awk '$4 == "SCHEMA"' "$work/wanted.list" >"$work/schemas.list"
awk '$4 == "ACL" || ($4 == "DEFAULT" && $5 == "ACL")' "$work/wanted.list" >"$work/grants.list"
awk '$4 != "SCHEMA" && $4 != "ACL" && !($4 == "DEFAULT" && $5 == "ACL")' "$work/wanted.list" >"$work/objects.list"

if [ "$superuser" = t ] && [ "$SPAREKEEP_TRUST_SOURCE" != 1 ]; then
  # A role of the source that is a superuser here would own, and so run, what the backup brings.
  admin -c "SELECT rolname FROM pg_catalog.pg_roles WHERE rolsuper AND rolname IN ($roles)" >"$work/superusers"
  while IFS= read -r name; do
    if NAME=$name awk 'BEGIN { n = " " ENVIRON["NAME"] } substr($0, length($0) - length(n) + 1) == n { f = 1 } END { exit !f }' "$work/wanted.list"; then
      stop "role $name owns objects in this backup and is a superuser here; use a server whose superuser has another name (or SPAREKEEP_TRUST_SOURCE=1)" 2
    fi
  done <"$work/superusers"
fi

say "creating the roles that are missing"
admin -f database/roles.sql

if [ "$superuser" = t ] && [ "$SPAREKEEP_TRUST_SOURCE" != 1 ]; then
  name=sparekeep_script_$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')
  secret=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
  # Through standard input, so that the password stands in no argument.
  admin -f - <<EOF
CREATE ROLE $name LOGIN NOSUPERUSER BYPASSRLS PASSWORD '$secret';
SELECT pg_catalog.format('GRANT %I TO $name', rolname) FROM pg_catalog.pg_roles
 WHERE NOT rolsuper AND rolname IN ($roles) AND pg_catalog.shobj_description(oid, 'pg_authid') = 'sparekeep: being restored' \gexec
ALTER DATABASE :"DBNAME" OWNER TO $name;
EOF
  builder=$name
  build -c "SELECT" || stop "the temporary role cannot log in: let roles log in by scram-sha-256 in pg_hba.conf, or restore as an ordinary role" 1
fi

# Only who may create in a schema can be given what is in it: for now everybody may.
printf '%s\n' 'GRANT CREATE ON DATABASE :"DBNAME" TO PUBLIC;' | build -f -
say "building schemas, types, functions and tables"
if [ -s "$work/schemas.list" ]; then
  build_archive --no-acl -L "$work/schemas.list" || missing=1
fi
closed="FROM pg_catalog.pg_namespace WHERE (oid >= 16384 OR nspname = 'public') AND nspname !~ '^pg_'
   AND NOT pg_catalog.has_schema_privilege('public', oid, 'CREATE')"
admin -c "SELECT pg_catalog.format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC;', nspname) $closed" >"$work/close.sql"
admin -c "SELECT pg_catalog.format('GRANT CREATE ON SCHEMA %I TO PUBLIC;', nspname) $closed" >"$work/open.sql"
admin -f "$work/open.sql"
build_archive --no-acl --section=pre-data -L "$work/objects.list" || missing=1

# folder and name: the file below, however a huge folder was divided.
locate() {
  if [ -e "$1/$2" ]; then place=$1/$2; return 0; fi
  for shard in "$1"/%-*; do
    if [ -d "$shard" ] && locate "$shard" "$2"; then return 0; fi
  done
  return 1
}
# COPY statement, then the names from the folder down to the file.
load() {
  statement=$1
  shift
  place=.
  for name in "$@"; do
    locate "$place" "$name" || { echo "restore.sh: no file $*" >&2; missing=1; return 0; }
  done
  (PGCLIENTENCODING=$rows_encoding; build -c "$statement" <"$place") || { echo "restore.sh: not loaded: $place" >&2; missing=1; }
}
# A table of an extension: its own, so the temporary role needs leave to add what the source had added.
configuration() {
  [ -z "$builder" ] || admin -c "GRANT SELECT, INSERT ON $1 TO $builder" || missing=1
}
# Lines of 32 KiB in hex: no size limit, no change of encoding.
large_object() {
  locate database/large-objects "$1" || { echo "restore.sh: no large object $1" >&2; missing=1; return 0; }
  od -An -v -tx1 "$place" | tr -d ' \n' | fold -w 65536 | build \
    -c "CREATE TEMPORARY TABLE chunk (n bigint GENERATED ALWAYS AS IDENTITY, hex text)" \
    -c "COPY pg_temp.chunk (hex) FROM STDIN" \
    -c "SELECT FROM pg_catalog.lo_create($1)" \
    -c "SELECT FROM (SELECT pg_catalog.lo_put($1, (n - 1) * 32768, pg_catalog.decode(hex, 'hex')) FROM pg_temp.chunk) AS put" ||
    { echo "restore.sh: large object $1 not loaded" >&2; missing=1; }
}
# Rows of cron.job run by themselves: never loaded.
jobs() {
  echo "restore.sh: $1 jobs of pg_cron are not scheduled: their rows are in database/tables/cron/job, as COPY writes them" >&2
  missing=1
}
load_all() {
@LOAD@
}
say "loading the rows"
load_all

say "building indexes, constraints, triggers and policies"
build_archive --no-acl --section=post-data --jobs=2 -L "$work/objects.list" || missing=1
build -f database/sequences.sql >/dev/null || missing=1
build -f database/large-objects.sql || missing=1

say "giving the rights back"
admin -f "$work/close.sql"
printf '%s\n' 'REVOKE CREATE ON DATABASE :"DBNAME" FROM PUBLIC;' | build -f -
if [ -s "$work/grants.list" ]; then
  # A grant by somebody else than the owner is made as that role.
  pg_restore -f - -L "$work/grants.list" "$archive" |
    sed 's/^SET SESSION AUTHORIZATION /SET ROLE /; s/^RESET SESSION AUTHORIZATION;$/RESET ROLE;/' |
    build -v ON_ERROR_STOP=0 -f - 2>"$work/errors" >/dev/null || missing=1
  if [ -s "$work/errors" ]; then cat "$work/errors" >&2; missing=1; fi
fi

say "refreshing materialised views, computing statistics"
build -f database/refresh.sql || missing=1
build -f database/analyze.sql || missing=1

say "counting"
build -f database/counts.sql >"$work/counts" || missing=1
cat "$work/counts"
if grep -q '^DIFFERS' "$work/counts"; then missing=1; fi

if [ "$superuser" = t ]; then
  admin -f database/role-attributes.sql || missing=1
  owner=$(admin -c "SELECT pg_catalog.count(*) FROM pg_catalog.pg_roles WHERE rolname = $owner_text")
  if [ "$owner" = 1 ]; then
    printf 'ALTER DATABASE :"DBNAME" OWNER TO %s;\n' "$owner_name" | admin -f -
  else
    admin -f - <<'EOF'
SELECT pg_catalog.format('ALTER DATABASE %I OWNER TO CURRENT_USER', pg_catalog.current_database()) \gexec
EOF
  fi
  admin -f database/database.sql || missing=1
  mighty=$(admin -c "SELECT r.rolsuper FROM pg_catalog.pg_roles AS r JOIN pg_catalog.pg_database AS d ON d.datdba = r.oid WHERE d.datname = pg_catalog.current_database()")
  if [ -n "$builder" ] && [ "$missing" != 0 ] && [ "$mighty" = t ]; then
    # What could not be given away must not become a superuser's.
    admin -c "ALTER ROLE $builder NOLOGIN NOBYPASSRLS"
    say "role $builder stays: it owns what could not be given to its owner"
  elif [ -n "$builder" ]; then
    admin -f - <<EOF
SELECT pg_catalog.format('REASSIGN OWNED BY $builder TO %I', pg_catalog.pg_get_userbyid(datdba))
  FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database() \gexec
DROP OWNED BY $builder;
DROP ROLE $builder;
EOF
    builder=
  fi
fi

[ "$missing" = 0 ] || stop "done, but something is missing: see above" 3
if [ "$limited" = 1 ]; then
  say "done: the rows of the tables that this backup holds are there; every other table is empty, and foreign keys are in foreign-keys.sql."
  exit 0
fi
if [ -n "$elsewhere" ]; then
  say "done: everything that this backup holds is there. It never held the rows of: $elsewhere. Look for points of the plans named."
  exit 0
fi
say "done: everything is there. Roles that log in need passwords: ALTER ROLE ... PASSWORD."
`.replaceAll("$SPAREKEEP_TRUST_SOURCE", "${SPAREKEEP_TRUST_SOURCE:-0}");
