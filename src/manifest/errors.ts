import { errorTable } from "../kernel/index.ts";

export const manifestError = errorTable("manifest", {
  truncated_copy: {
    kind: "corrupt",
    meaning: "A COPY stream ended inside a row, or a binary one before its trailer.",
    hint: "Read the table again; the connection may have been lost.",
  },
  damaged_copy: {
    kind: "corrupt",
    meaning: "A COPY stream does not have the structure that PostgreSQL documents.",
  },
  not_utf8: {
    kind: "incompatible",
    meaning:
      "A value is not UTF-8, which JSON must be; every server that keeps its word sends UTF-8.",
    hint: "Export the table as CSV or SQL, which carry the bytes as they are.",
  },
  damaged: {
    kind: "corrupt",
    meaning: "A `manifest.json` is not JSON, or misses or misstates what a manifest must hold.",
    hint: "Run `sparekeep check --read-data`, and restore another snapshot meanwhile.",
  },
  dump_damaged: {
    kind: "corrupt",
    meaning:
      "The manifest beside a portable dump is not JSON, or misses or misstates what it must hold.",
    hint: "Compare it with the sealed record: `sparekeep dumps --verify`.",
  },
  unsupported: {
    kind: "incompatible",
    meaning: "A `manifest.json` has a format that this version of Sparekeep does not read.",
    hint: "Use the version of Sparekeep that wrote the snapshot, or a newer one.",
  },
});
