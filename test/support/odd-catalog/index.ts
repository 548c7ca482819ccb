import { readFileSync } from "node:fs";
import { join } from "node:path";

const FILES = [
  "01-roles",
  "02-names",
  "03-types",
  "04-tables",
  "05-constraints",
  "06-code",
  "07-rights",
];

/** One database of odd objects, valid on every version from 13 on; its roles are the server's. */
export function oddCatalog(): string {
  return FILES.map((name) => readFileSync(join(import.meta.dirname, `${name}.sql`), "utf8")).join(
    "\n",
  );
}
