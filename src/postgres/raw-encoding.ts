/**
 * A database of encoding SQL_ASCII holds bytes of any meaning. The server converts nothing for it, but it demands that
 * what it sends be valid in the client's encoding, so that a session in UTF-8 cannot read, nor a restore write, such a
 * row. Rows therefore travel as the bytes that they are; names stay under UTF-8, where a wrong one is an error.
 */
export const UNENCODED = "SQL_ASCII";

/** For the running transaction alone, and only where the database is of that encoding. */
export const ROWS_AS_BYTES = `
SELECT pg_catalog.set_config('client_encoding', '${UNENCODED}', true)
 WHERE pg_catalog.getdatabaseencoding() OPERATOR(pg_catalog.=) '${UNENCODED}'`;
