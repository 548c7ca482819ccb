import { spawnSync } from "node:child_process";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { partPath } from "./part-path.ts";
import { renderRecoveryFiles } from "./recovery.ts";
import { shellWord } from "./sql-text.ts";
import { sampleManifest } from "./testing/sample-manifest.ts";

const options = { storedName: (name: string) => name };

function textOf(name: string, manifest = sampleManifest()): string {
  const file = renderRecoveryFiles(manifest, options).find(({ path }) => path.at(-1) === name);
  if (file === undefined) throw new Error(`no ${name}`);
  return file.text;
}

describe("what a snapshot holds for its own recovery", () => {
  test("is a script that a POSIX shell can read", () => {
    const checked = spawnSync("sh", ["-n"], { input: textOf("restore.sh"), encoding: "utf8" });
    expect(checked.stderr).toBe("");
    expect(textOf("restore.sh")).not.toMatch(/@[A-Z_]+@/);
  });

  test("is a guide that names the commands", () => {
    const guide = textOf("RECOVERY.md");
    expect(guide).toContain("restic --repo REPOSITORY restore SNAPSHOT_ID --target ./recovered");
    expect(guide).toContain("./restore.sh postgresql://");
    expect(guide).toContain("**app** (PostgreSQL 15.18)");
  });

  test("has SQL made of quoted names", () => {
    expect(textOf("sequences.sql")).toContain(
      `SELECT pg_catalog.setval('"public"."parts_id_seq"'::pg_catalog.regclass, '2'::pg_catalog.int8, true);`,
    );
    expect(textOf("counts.sql")).toContain(`FROM ONLY "public"."parts";`);
    expect(textOf("refresh.sql")).toContain('REFRESH MATERIALIZED VIEW "public"."part_counts";');
    expect(textOf("restore.sh")).toContain(
      `load 'COPY "public"."parts" ("id") FROM STDIN' 'database' 'tables' 'public' 'parts' '0000.copy'`,
    );
  });

  test("lets the builder add to an extension's configuration", () => {
    const [table] = sampleManifest().database.tables;
    const tables = [{ ...table!, condition: "WHERE id > 1" }];
    const script = textOf("restore.sh", sampleManifest({ tables }));
    expect(script).toContain(`configuration '"public"."parts"'\n  load `);
  });

  test("never gives a role more than its manifest may", () => {
    const manifest = sampleManifest();
    const [role] = manifest.database.roles;
    const roles = [{ ...role!, superuser: true, replication: true }];
    const mighty = sampleManifest({ roles });
    expect(textOf("roles.sql", mighty) + textOf("role-attributes.sql", mighty)).not.toMatch(
      /\b(SUPERUSER|REPLICATION)\b/,
    );
  });

  test("passes any name through the shell as one word", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (name) => {
        fc.pre(!name.includes("\0"));
        const printed = spawnSync("sh", ["-c", `printf %s ${shellWord(name)}`], {
          encoding: "utf8",
        });
        expect(printed.stdout).toBe(name);
      }),
      { numRuns: 40 },
    );
  });
});

describe("the path of a table's part", () => {
  test("keeps a slash of a name inside the name", () => {
    const [table] = sampleManifest().database.tables;
    const part = { ...table!.parts[0]!, path: "database/tables/a/b/c/0000.copy" };
    expect(partPath({ ...table!, schema: "a/b", name: "c" }, part)).toEqual([
      "database",
      "tables",
      "a/b",
      "c",
      "0000.copy",
    ]);
  });
});
