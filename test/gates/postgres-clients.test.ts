import { expect, test } from "vitest";
import { namesIn } from "../../scripts/setup/postgres-clients.js";

test("packages are told from their relations in what apt-cache says", () => {
  const said = [
    "postgresql-client-18",
    "  Depends: libc6",
    "  PreDepends: libpq5",
    " |Depends: perl",
    "  Depends: <perl:any>",
    "  Depends: libssl3t64:any",
    "libpq5",
    "  Depends: libc6",
    "  Suggests: postgresql-18",
  ].join("\n");
  expect(namesIn(said)).toEqual(["postgresql-client-18", "libc6", "libpq5", "perl", "libssl3t64"]);
});
