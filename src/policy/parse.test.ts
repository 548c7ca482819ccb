import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { AppError } from "../kernel/index.ts";
import { parsePolicy } from "./parse.ts";
import type { Policy } from "./policy.ts";

const HEAD = "sparekeep: 1\nname: shop\n";
const SOURCE = "sources:\n  db: { kind: postgres, connection: { env: DB_URL } }\n";
const DESTINATION = "destinations:\n  local: { url: ./repo, password: { file: ./key } }\n";
const PLAN = "plans:\n  nightly: { source: db, capture: everything, to: local }\n";
const GOOD = HEAD + SOURCE + DESTINATION + PLAN;

function parse(text: string): Policy {
  return parsePolicy({ text, file: "p.yaml", directory: "/etc/shop" });
}

function errorOf(text: string): AppError {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error("the policy was accepted");
}

describe("a good policy", () => {
  test("is read, with relative paths from its folder", () => {
    expect(parse(GOOD)).toEqual({
      name: "shop",
      sources: { db: { kind: "postgres", connection: { env: "DB_URL" } } },
      destinations: { local: { url: "/etc/shop/repo", password: { file: "/etc/shop/key" } } },
      plans: { nightly: { source: "db", capture: "everything", to: "local" } },
      targets: {},
    });
  });

  test("may name a state folder, targets, a file: URL and a connection without password", () => {
    const text = `${HEAD}state: ./state\nsources:\n  db: { kind: postgres, connection: "postgresql://u@h:5432/d" }\ndestinations:\n  local: { url: "file:///srv/repo", password: { env: KEY } }\n${PLAN}targets:\n  staging: { kind: postgres, connection: { file: s.url } }\n`;
    expect(parse(text)).toMatchObject({
      state: "/etc/shop/state",
      sources: { db: { connection: { text: "postgresql://u@h:5432/d" } } },
      destinations: { local: { url: "file:///srv/repo", password: { env: "KEY" } } },
      targets: { staging: { kind: "postgres", connection: { file: "/etc/shop/s.url" } } },
    });
  });

  test("may say everything of a store, and how long a plan is kept", () => {
    const store = `{ url: "s3://b/p", region: af-south-1, storage_class: GLACIER_IR, encryption: { kms: k }, credentials: { access_key: { env: A }, secret_key: { file: s } }, tls: { min: "1.3" }, limits: { upload: 10 MiB/s, requests_per_second: 5 }, lock: { mode: compliance, for: 30 days }, copies: [local], password: { env: P } }`;
    const text = `${GOOD.replace("destinations:\n", `destinations:\n  far: ${store}\n`).replace("to: local", "to: far, keep: { daily: 7, within: 1 year }")}timezone: Africa/Johannesburg\ntls: { ca: ca.pem }\n`;
    const none = { years: 0, months: 0, days: 0, hours: 0, minutes: 0, seconds: 0 };
    expect(parse(text)).toMatchObject({
      timezone: "Africa/Johannesburg",
      destinations: {
        local: { tls: { ca: "/etc/shop/ca.pem" } },
        far: {
          url: "s3://b/p",
          credentials: { access_key: { env: "A" }, secret_key: { file: "/etc/shop/s" } },
          tls: { min: "1.3" },
          limits: { upload: 10 * 1024 * 1024, requests_per_second: 5 },
          lock: { mode: "compliance", for: { ...none, days: 30 } },
        },
      },
      plans: { nightly: { keep: { daily: 7, within: { ...none, years: 1 } } } },
    });
  });

  test("may name a Supabase project, its provider's backups, and where secrets are kept", () => {
    const source =
      "{ kind: supabase, project: abcdefghijklmnopqrst, management_token: { file: t }, connection: { env: DB_URL } }";
    const text = `${GOOD.replace("{ kind: postgres, connection: { env: DB_URL } }", source)}outside: { STRIPE_KEY: { file: s } }\nprovider: { db: { expect: { one_of: [pitr, daily_backup], window: 7 days, newest_within: 26h } } }\n`;
    const none = { years: 0, months: 0, days: 0, hours: 0, minutes: 0, seconds: 0 };
    expect(parse(text)).toMatchObject({
      sources: {
        db: { project: "abcdefghijklmnopqrst", management_token: { file: "/etc/shop/t" } },
      },
      outside: { STRIPE_KEY: { file: "/etc/shop/s" } },
      provider: {
        db: {
          expect: {
            one_of: ["pitr", "daily_backup"],
            window: { ...none, days: 7 },
            newest_within: { ...none, hours: 26 },
          },
        },
      },
    });
  });

  test("is what examples/minimal.yaml holds", () => {
    const text = readFileSync(new URL("../../examples/minimal.yaml", import.meta.url), "utf8");
    expect(parsePolicy({ text, file: "minimal.yaml", directory: "/x" })).toMatchObject({
      name: "shop",
      plans: { nightly: { source: "database", to: "local" } },
    });
  });

  test("is what examples/repository-at-full-strength.yaml holds", () => {
    const file = "repository-at-full-strength.yaml";
    const text = readFileSync(new URL(`../../examples/${file}`, import.meta.url), "utf8");
    expect(parsePolicy({ text, file, directory: "/x" })).toMatchObject({
      timezone: "Africa/Johannesburg",
      destinations: {
        bucket: {
          lock: { mode: "compliance", for: { days: 30 } },
          copies: ["offsite"],
          owners: [expect.stringMatching(/^age1/)],
          check: { everything_every: { days: 30 } },
        },
        offsite: { url: "gs://shop-backups-copy/repo" },
      },
      plans: {
        nightly: { keep: { daily: 14, weekly: 8 } },
        monthly: { keep: { monthly: 12 } },
        "critical-tables": {
          capture: { tables: [{ name: "orders" }, { schema: "sales" }], formats: ["csv", "json"] },
        },
      },
    });
  });
});

describe("examples/sparelink.yaml", () => {
  const text = readFileSync(new URL("../../examples/sparelink.yaml", import.meta.url), "utf8");

  test("holds the strategy's tiers, places and keys", () => {
    const policy = parsePolicy({ text, file: "sparelink.yaml", directory: "/x" });
    expect(policy).toMatchObject({
      timezone: "Africa/Johannesburg",
      destinations: {
        production: {
          class: "production",
          tls: { min: "1.3" },
          lock: { mode: "compliance", for: { days: 30 } },
          copies: ["offsite"],
        },
        audit: { class: "audit", storage_class: "GLACIER_IR" },
        dumps: { files: true, manifests: "production" },
      },
      plans: {
        nightly: { capture: "everything", to: "production", keep: { within: { days: 30 } } },
        "critical-tables": {
          capture: {
            tables: ["profiles", "shops", "orders", "part_requests", "offers"].map((name) => ({
              schema: "public",
              name,
            })),
            formats: ["csv", "json"],
          },
          keep: { within: { days: 30 } },
        },
        "before-migration": {
          capture: "schema",
          to: "production",
          git: { url: "git@github.com:sparelink/migrations.git", path: "schema" },
          keep: { within: { years: 1 } },
        },
        "weekly-dump": {
          capture: "pg_dump",
          to: "dumps",
          file: "sparelink_backup_{date}.dump.gpg",
          encrypt: { gpg: ["backups@sparelink.co.za"], keys: ["/x/keys/backups.asc"] },
        },
        "audit-logs": { to: "audit", keep: { within: { years: 1 } } },
        "dev-nightly": { source: "dev-database", to: "development" },
      },
      provider: { database: { expect: { one_of: ["pitr", "daily_backup"] } } },
    });
  });

  test("keeps the keys of its classes apart: any that is shared is refused", () => {
    const moved: readonly (readonly [string, string])[] = [
      ["file: ./secrets/audit", "file: ./secrets/production"],
      ["env: AUDIT_ACCESS_KEY", "env: BACKUP_ACCESS_KEY"],
      ["s3://sparelink-audit/backups", "s3://sparelink-backups/production/"],
      ["copies: [offsite]", "copies: [audit]"],
      ["manifests: production", "manifests: audit"],
      ["class: development", "check: { everything_every: 30 days }"],
    ];
    for (const [from, to] of moved) {
      expect(text.split(from)).toHaveLength(2);
      expect(() => parse(text.replace(from, to))).toThrow(/of class|missing key "class"/);
    }
  });
});

interface Bad {
  readonly what: string;
  readonly text: string;
  readonly message: string;
  readonly hint: string;
}

const BAD: readonly Bad[] = [
  {
    what: "an empty file",
    text: "",
    message: "p.yaml:1:1: an empty policy",
    hint: 'Begin with "sparekeep: 1" and see examples/minimal.yaml.',
  },
  {
    what: "only a comment",
    text: "# nothing\n",
    message: "p.yaml:1:1: an empty policy",
    hint: 'Begin with "sparekeep: 1" and see examples/minimal.yaml.',
  },
  {
    what: "a list",
    text: "- sparekeep: 1\n",
    message: "p.yaml:1:1: a policy that is not a mapping of keys to values",
    hint: 'Begin with "sparekeep: 1" and see examples/minimal.yaml.',
  },
  {
    what: "a tab",
    text: "sparekeep: 1\nsources:\n\tdb: x\n",
    message: "p.yaml:3:1: a tab as indentation",
    hint: "Indent with spaces.",
  },
  {
    what: "a key twice",
    text: `${GOOD}name: shop\n`,
    message: "p.yaml:9:1: a key that stands twice",
    hint: "Remove or rename one of them.",
  },
  {
    what: "two documents",
    text: `${GOOD}---\na: 1\n`,
    message: "p.yaml:9:1: a second YAML document",
    hint: 'Remove the "---" and what follows it.',
  },
  {
    what: "broken YAML",
    text: "sparekeep: 1\nname: a: b\n",
    message: "p.yaml:2:7: broken YAML: Nested mappings are not allowed in compact mappings",
    hint: "Mind indentation, quotes and brackets near this place.",
  },
  {
    what: "no version",
    text: GOOD.replace("sparekeep: 1\n", ""),
    message: 'p.yaml:1:1: missing key "sparekeep" at the top',
    hint: 'Begin the file with "sparekeep: 1".',
  },
  {
    what: "another version",
    text: GOOD.replace("sparekeep: 1", "sparekeep: 2"),
    message: 'p.yaml:1:12: sparekeep "2", which is not known',
    hint: "Write 1.",
  },
  {
    what: "an unknown key at the top",
    text: `${GOOD}alert: {}\n`,
    message: 'p.yaml:9:1: unknown key "alert" at the top',
    hint: "Remove it; known are: sparekeep, name, state, timezone, tls, sources, destinations, plans, targets, outside, provider.",
  },
  {
    what: "a misspelled key",
    text: GOOD.replace("capture", "captuer"),
    message:
      'p.yaml:8:3: missing key "capture" in plans.nightly. Add "capture: everything".\np.yaml:8:26: unknown key "captuer" in plans.nightly. Write "capture".',
    hint: "Put these 2 places right.",
  },
  {
    what: "a missing key",
    text: GOOD.replace(", to: local", ""),
    message: 'p.yaml:8:3: missing key "to" in plans.nightly',
    hint: 'Add "to:".',
  },
  {
    what: "an unknown kind",
    text: GOOD.replace("kind: postgres", "kind: mysql"),
    message: 'p.yaml:4:15: sources.db.kind "mysql", which is not known',
    hint: "Write one of: postgres, supabase.",
  },
  {
    what: "a project without its reference",
    text: GOOD.replace("kind: postgres", "kind: supabase"),
    message: "p.yaml:4:7: sources.db of kind: supabase without its project",
    hint: "Add project: REFERENCE, the twenty letters in the dashboard's address.",
  },
  {
    what: "a reference that is none",
    text: GOOD.replace("kind: postgres", "kind: supabase, project: ../x"),
    message: 'p.yaml:4:34: sources.db.project "../x", which is no project reference',
    hint: "Write the twenty small letters in the dashboard's address.",
  },
  {
    what: "a token for what is no project",
    text: GOOD.replace("kind: postgres", "kind: postgres, management_token: { env: T }"),
    message: "p.yaml:4:25: sources.db.management_token, which means nothing for kind: postgres",
    hint: "Remove it, or write kind: supabase.",
  },
  {
    what: "a token in the policy",
    text: GOOD.replace("kind: postgres", "kind: supabase, management_token: sbp_4711"),
    message: "p.yaml:4:43: sources.db.management_token: a plain password in the policy",
    hint: "Put the password into a file that only you can read and write { file: PATH } here, or { env: NAME }.",
  },
  {
    what: "an address without a token",
    text: GOOD.replace(
      "kind: postgres",
      "kind: supabase, project: abcdefghijklmnopqrst, management_api: x",
    ),
    message: "p.yaml:4:56: sources.db.management_api without a token",
    hint: "Add management_token, or remove management_api.",
  },
  {
    what: "a provider of no source",
    text: `${GOOD}provider: { other: { expect: { one_of: [pitr] } } }\n`,
    message: "p.yaml:9:13: provider.other, which is no source",
    hint: "Write one of: db.",
  },
  {
    what: "a provider that nobody can ask",
    text: `${GOOD}provider: { db: { expect: { one_of: [pitr] } } }\n`,
    message: "p.yaml:9:13: provider.db, whose provider nobody can ask",
    hint: "Give sources.db kind: supabase and a management_token.",
  },
  {
    what: "a secret outside, as it is",
    text: `${GOOD}outside: { STRIPE_KEY: sk_live_4711 }\n`,
    message: "p.yaml:9:24: outside.STRIPE_KEY: a plain password in the policy",
    hint: "Put the password into a file that only you can read and write { file: PATH } here, or { env: NAME }.",
  },
  {
    what: "a capture that comes later",
    text: GOOD.replace("everything", "changes"),
    message: 'p.yaml:8:35: plans.nightly.capture: "changes", which is not known',
    hint: 'Write "everything", "schema", "pg_dump", or { tables: [orders, "sales.items"] }.',
  },
  {
    what: "a wrong type",
    text: GOOD.replace("source: db", "source: [db]"),
    message: "p.yaml:8:22: plans.nightly.source of the wrong type",
    hint: "Write a text here.",
  },
  {
    what: "an empty section",
    text: GOOD.replace(PLAN, "plans:\n"),
    message: "p.yaml:7:7: plans of the wrong type",
    hint: "Write a mapping of names to values here.",
  },
  {
    what: "a name that no folder could have",
    text: GOOD.replace("name: shop", "name: ../shop"),
    message: "p.yaml:2:7: name is no possible name",
    hint: "Use small letters, digits and dashes, a letter first, at most 63 characters.",
  },
  {
    what: "a plan's name in capitals",
    text: GOOD.replace("nightly:", "Nightly:"),
    message: 'p.yaml:8:3: the name "Nightly" in plans',
    hint: "Use small letters, digits and dashes, a letter first, at most 63 characters.",
  },
  {
    what: "a source that is not defined",
    text: GOOD.replace("source: db", "source: bd"),
    message: 'p.yaml:8:22: plans.nightly.source "bd", which is not defined',
    hint: 'Write "db".',
  },
  {
    what: "a destination that is not defined",
    text: GOOD.replace("to: local", "to: elsewhere"),
    message: 'p.yaml:8:51: plans.nightly.to "elsewhere", which is not defined',
    hint: "Write one of: local.",
  },
  {
    what: "a store that is not there yet",
    text: GOOD.replace("./repo", "ftp://host/x"),
    message: 'p.yaml:6:17: destinations.local.url of the unknown kind "ftp:"',
    hint: "Name a folder, or a URL that begins with file:, s3:, gs: or rest:.",
  },
  {
    what: "a password in a URL",
    text: GOOD.replace("./repo", "rest:https://me:hunter2@host/x"),
    message: "p.yaml:6:17: destinations.local.url with a user or password in it",
    hint: "Put them under credentials:, as references.",
  },
  {
    what: "a key that means nothing for the store",
    text: GOOD.replace("./repo,", "./repo, region: af-south-1,"),
    message: "p.yaml:6:25: destinations.local.region, which means nothing for a folder",
    hint: "Remove it.",
  },
  {
    what: "a store beside that is no folder",
    text: GOOD.replace("./repo,", "rest:https://host/x, beside: s3://b,"),
    message: "p.yaml:6:46: destinations.local.beside that is no folder",
    hint: "Name a folder, as a path or as a file: URL.",
  },
  {
    what: "half of a key",
    text: GOOD.replace("./repo,", "s3://b, credentials: { access_key: { env: A } },"),
    message: "p.yaml:6:25: destinations.local.credentials with half of a key",
    hint: "Give both access_key and secret_key.",
  },
  {
    what: "a copy of itself",
    text: GOOD.replace("./repo,", "./repo, copies: [local],"),
    message: 'p.yaml:6:34: destinations.local.copies.0 "local", which is not defined',
    hint: "Define it first.",
  },
  {
    what: "a rule that keeps nothing",
    text: GOOD.replace("to: local", "to: local, keep: {}"),
    message: "p.yaml:8:64: plans.nightly.keep: a rule that keeps nothing",
    hint: 'Write for example "30 days".',
  },
  {
    what: "a keep that is no length of time",
    text: GOOD.replace("to: local", "to: local, keep: 30 moons"),
    message: "p.yaml:8:64: plans.nightly.keep.within: no length of time",
    hint: 'Write for example "30 days" or "1 year".',
  },
  {
    what: "a time zone that nobody knows",
    text: `${GOOD}timezone: Africa/Pretoria\n`,
    message: "p.yaml:9:11: timezone: no time zone",
    hint: 'Write for example "Africa/Johannesburg".',
  },
  {
    what: "a plain password",
    text: GOOD.replace("{ file: ./key }", "hunter2"),
    message: "p.yaml:6:35: destinations.local.password: a plain password in the policy",
    hint: "Put the password into a file that only you can read and write { file: PATH } here, or { env: NAME }.",
  },
  {
    what: "a password in the connection string",
    text: GOOD.replace("{ env: DB_URL }", "postgresql://u:hunter2@h/d"),
    message: "p.yaml:4:37: sources.db.connection: a password in a connection string",
    hint: "Put the whole connection string into a file that only you can read and write { file: PATH } here, or { env: NAME }.",
  },
  {
    what: "a reference of an unknown kind",
    text: GOOD.replace("{ env: DB_URL }", "{ vault: a/b#c }"),
    message: "p.yaml:4:37: sources.db.connection: no known secret reference",
    hint: "Write exactly one of { env: NAME } and { file: PATH }.",
  },
  {
    what: "a way of keeping Vault that there is not",
    text: GOOD.replace("kind: postgres", "kind: postgres, vault: encrypted"),
    message: 'p.yaml:4:32: sources.db.vault "encrypted", which is not known',
    hint: "Write decrypted.",
  },
  {
    what: "two references at once",
    text: GOOD.replace("{ env: DB_URL }", "{ env: A, file: b }"),
    message: "p.yaml:4:37: sources.db.connection: no known secret reference",
    hint: "Write exactly one of { env: NAME } and { file: PATH }.",
  },
  {
    what: "a variable that cannot be one",
    text: GOOD.replace("env: DB_URL", "env: a-b"),
    message: "p.yaml:4:37: sources.db.connection: no possible name of an environment variable",
    hint: "Use letters, digits and underscores.",
  },
];

describe("a bad policy is refused with file, line, column and the fix", () => {
  test.for(BAD)("$what", ({ text, message, hint }) => {
    const error = errorOf(text);
    expect(error.message).toBe(message);
    expect(error.hint).toBe(hint);
    expect(error.code).toBe("policy.invalid");
    expect(error.subject["file"]).toBe("p.yaml");
  });

  test("no secret of it is ever repeated", () => {
    for (const { text } of BAD) {
      const { message, hint, subject } = errorOf(text);
      expect(JSON.stringify([message, hint, subject])).not.toContain("hunter2");
    }
  });

  test("aliases that multiply are refused", () => {
    const levels = ["a: &a [x, x, x, x, x, x, x, x, x]"];
    for (const [from, to] of ["ab", "bc", "cd", "de", "ef"].map((pair) => pair.split(""))) {
      levels.push(`${to}: &${to} [${Array.from({ length: 9 }, () => `*${from}`).join(", ")}]`);
    }
    expect(errorOf(`${levels.join("\n")}\n`).message).toBe("p.yaml:1:1: too many YAML aliases");
  });

  test("a file of more than 1 MiB is refused unread", () => {
    expect(errorOf("#".repeat(1024 * 1024 + 1)).message).toBe(
      "p.yaml:1:1: a policy of more than 1 MiB",
    );
  });

  test("prototype names are names like any other", () => {
    const error = errorOf(GOOD.replace("source: db", "source: constructor"));
    expect(error.message).toContain('"constructor", which is not defined');
    expect(errorOf(`${GOOD}__proto__: { x: 1 }\n`).message).toContain('unknown key "__proto__"');
  });
});
