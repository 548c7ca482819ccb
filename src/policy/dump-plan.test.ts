import { expect, test } from "vitest";
import { AppError } from "../kernel/index.ts";
import { parsePolicy } from "./parse.ts";
import type { Policy } from "./policy.ts";
import {
  destinationNamed,
  dumpPlanNamed,
  pointPlanNamed,
  filesDestinationNamed,
} from "./select.ts";

const DUMPS = "  dumps: { url: s3://b/database, files: true, manifests: repo }\n";
const ENCRYPT = "{ gpg: [ops@x.example], keys: [keys/ops.asc] }";
const PLAN = `  dump: { source: db, capture: pg_dump, encrypt: ${ENCRYPT}, to: dumps, name: "x_{date}.gpg" }\n`;
const GOOD = `sparekeep: 1
name: shop
sources: { db: { kind: postgres, connection: { env: URL } } }
destinations:
  repo: { url: /repo, password: { file: pw } }
${DUMPS}plans:
  all: { source: db, capture: everything, to: repo }
${PLAN}`;

const parse = (text: string): Policy => parsePolicy({ text, file: "p.yaml", directory: "/etc/x" });

test("a plan of dumps is read, its key files taken from the policy's folder", () => {
  const policy = parse(GOOD);
  expect(policy.plans["dump"]).toEqual({
    source: "db",
    capture: "pg_dump",
    to: "dumps",
    encrypt: { gpg: ["ops@x.example"], keys: ["/etc/x/keys/ops.asc"] },
    file: "x_{date}.gpg",
  });
  expect(policy.destinations["dumps"]).toEqual({
    url: "s3://b/database",
    files: true,
    manifests: "repo",
  });
  const passphrase = parse(GOOD.replace(ENCRYPT, "{ passphrase: { file: phrase } }"));
  expect(dumpPlanNamed(passphrase, "dump").encrypt).toEqual({
    passphrase: { file: "/etc/x/phrase" },
  });
});

test("a verb finds the one of its kind, and says what another one is", () => {
  const policy = parse(GOOD);
  expect(destinationNamed(policy).name).toBe("repo");
  expect(filesDestinationNamed(policy).name).toBe("dumps");
  expect(dumpPlanNamed(policy).name).toBe("dump");
  const codeOf = (work: () => unknown): unknown => {
    try {
      return work();
    } catch (thrown) {
      return thrown instanceof AppError ? thrown.code : thrown;
    }
  };
  expect(codeOf(() => destinationNamed(policy, "dumps"))).toBe("policy.not_a_repository");
  expect(codeOf(() => filesDestinationNamed(policy, "repo"))).toBe("policy.not_a_file_store");
  expect(codeOf(() => dumpPlanNamed(policy, "all"))).toBe("policy.not_a_dump_plan");
  expect(codeOf(() => pointPlanNamed(policy, "dump"))).toBe("policy.not_a_point_plan");
  expect(pointPlanNamed(policy, "all")).toMatchObject({ name: "all", capture: "everything" });
});

test.for([
  [
    "to: dumps, name",
    "to: repo, name",
    "9:102: plans.dump.to: a pg_dump file into a repository",
    'Name a destination with "files: true"; or write capture: everything.',
  ],
  [
    "to: repo }",
    "to: dumps }",
    "8:47: plans.all.to: everything into a destination of plain files",
    "Name a destination that is a repository; or write capture: pg_dump.",
  ],
  [
    "to: repo }",
    "to: repo, name: x }",
    "8:53: plans.all.name, which means nothing for capture: everything",
    "Remove it; or write capture: pg_dump.",
  ],
  [
    "x_{date}.gpg",
    "x.gpg",
    "9:115: plans.dump.name: a name without {date}, which every run would share",
    'Write for example "shop_{date}.dump.gpg".',
  ],
  [
    "to: dumps, name",
    "to: dumps, keep: 90 days, name",
    "9:109: plans.dump.keep, which nothing carries out for plain files yet",
    "Remove it; let a lifecycle rule of the bucket end old files.",
  ],
  [
    ', name: "x_{date}.gpg"',
    "",
    '9:3: missing key "name" in plans.dump',
    'Add for example "name: shop_{date}.dump.gpg".',
  ],
  [
    `encrypt: ${ENCRYPT}, `,
    "",
    '9:3: missing key "encrypt" in plans.dump',
    'Add "encrypt: { gpg: [FINGERPRINT], keys: [FILE of the public key] }".',
  ],
  [
    ", keys: [keys/ops.asc]",
    "",
    "9:50: plans.dump.encrypt: recipients without the files of their public keys",
    'Add "keys: [FILE]" with the public key, as "gpg --export --armor" writes it.',
  ],
  [
    "keys: [keys/ops.asc]",
    "keys: [a], passphrase: { env: P }",
    "9:50: plans.dump.encrypt: both keys and a passphrase",
    "Keep gpg and keys; with a passphrase the server itself could decrypt.",
  ],
  [
    "ops@x.example]",
    "ops@x.example, ops@x.example]",
    "9:57: plans.dump.encrypt.gpg: a recipient who stands twice",
    "Remove one of the two.",
  ],
  [
    "ops@x.example",
    "0xDEADBEEF",
    "9:58: plans.dump.encrypt.gpg.0: a number, as YAML reads it",
    "Write the key in quotes.",
  ],
  [
    "ops@x.example",
    "'0xDEADBEEF'",
    "9:58: plans.dump.encrypt.gpg.0: a short key id, which anybody can make another key for",
    'Write the key\'s fingerprint, as "gpg --fingerprint" prints it, without blanks.',
  ],
  [
    "ops@x.example",
    "somebody",
    "9:58: plans.dump.encrypt.gpg.0: neither a fingerprint, nor a key id, nor an address",
    'Write the key\'s fingerprint, as "gpg --fingerprint" prints it, without blanks.',
  ],
  [
    "files: true,",
    "files: true, password: { env: P },",
    "6:47: destinations.dumps.password, which means nothing for plain files",
    "Remove it; plain files are encrypted by their plan.",
  ],
  [
    "manifests: repo",
    "manifests: rpeo",
    '6:58: destinations.dumps.manifests "rpeo", which is not defined',
    'Write "repo".',
  ],
  [
    "manifests: repo",
    "manifests: dumps",
    '6:58: destinations.dumps.manifests "dumps", which is not defined',
    "Write one of: repo.",
  ],
  [
    "s3://b/database",
    "rest:https://h/x/",
    "6:36: destinations.dumps.files at restic's REST server, which takes nothing but repositories",
    "Name a folder, or a URL that begins with file:, s3: or gs:.",
  ],
  [
    "password: { file: pw }",
    "password: { file: pw }, copies: [dumps]",
    '5:56: destinations.repo.copies names "dumps", which keeps plain files',
    "Name a repository, or remove it.",
  ],
  [
    "password: { file: pw }",
    "password: { file: pw }, manifests: repo",
    "5:47: destinations.repo.manifests of a repository",
    'Remove it; it belongs to destinations with "files: true".',
  ],
] as const)("%s as %s is refused with place and fix", ([from, to, message, fix]) => {
  const text = GOOD.replace(from, to);
  expect(text).not.toBe(GOOD);
  expect(() => parse(text)).toThrow(
    expect.objectContaining({ message: `p.yaml:${message}`, hint: fix }),
  );
});
