/** Talking to PostgreSQL: sessions, COPY, client tools, catalog queries. Imports only the kernel. */
export type * from "./types.ts";
