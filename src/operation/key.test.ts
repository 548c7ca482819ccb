import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { createHash } from "node:crypto";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Secret } from "../kernel/index.ts";
import { codeOf } from "../objectstore/testing/index.ts";
import { destinationNamed, parsePolicy } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import { checkAuditLog } from "./audit-log.ts";
import type { OperationContext } from "./context.ts";
import { doctor } from "./doctor.ts";
import { init } from "./init.ts";
import { wrapFor } from "./key/age.ts";
import { escrowKey, proveKey, readSheet, savePassword, unwrapPassword } from "./key-copies.ts";
import type { KeyCopy } from "./key-copies.ts";
import {
  addRepositoryKey,
  changeRepositoryPassword,
  listRepositoryKeys,
  planKeyAdoption,
  planKeyRemoval,
  wrapPassword,
} from "./key.ts";
import { addKey } from "../repository/index.ts";
import { openDestination } from "./open.ts";
import { testContext } from "./testing/context.ts";

let folder: string;
let context: OperationContext;
let ann: { readonly file: string; readonly recipient: string };
let ben: typeof ann;

const PHRASE = { typed: new Secret("unaided clock ruffian stanza wobble kelp") };
const WRITER = { hostname: "h", username: "u", pid: 1, cost: { N: 2, r: 1, p: 1 } };
const NEW = { typed: new Secret("3vT0yQ1nq8oPZrJm2kX7wLd5sHc9fBgA") };

async function person(name: string): Promise<typeof ann> {
  const identity = await generateX25519Identity();
  const file = join(folder, `${name}.txt`);
  const text = `# created: 2026-11-01\n# public key: below\n${identity}\n`;
  await writeFile(file, text, { mode: 0o600 });
  return { file, recipient: await identityToRecipient(identity) };
}

function policyFor(owners: readonly string[]): Policy {
  const text = `sparekeep: 1
name: shop
sources: {}
destinations:
  local:
    url: ./repo
    password: { file: ./key }
${owners.length === 0 ? "" : `    owners: [${owners.join(", ")}]\n`}plans: {}
`;
  return parsePolicy({ text, file: "p.yaml", directory: folder });
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sparekeep-key-"));
  context = testContext({ stateDirectory: join(folder, "state") });
  ann = await person("ann");
  ben = await person("ben");
});
afterEach(() => rm(folder, { recursive: true }));

async function created(owners: readonly string[] = [ann.recipient]): Promise<Policy> {
  const policy = policyFor(owners);
  await init(context, { policy, generatePassword: true });
  return policy;
}

const copies = () => readdir(join(folder, "repo/sparekeep/owners"));
const password = async () => (await readFile(join(folder, "key"), "utf8")).trim();
const identity = ({ file }: typeof ann): KeyCopy => ({ kind: "identity", file });

/** What a person does after `key passwd`. */
async function useNewPassword(): Promise<void> {
  await rm(join(folder, "key"));
  await writeFile(join(folder, "key"), NEW.typed.reveal(), { mode: 0o600 });
}

describe("init", () => {
  test("wraps the password for the owners of the policy", async () => {
    const policy = await created();
    expect(await copies()).toEqual([expect.stringMatching(/^[0-9a-f]{64}\.age$/)]);
    const found = await unwrapPassword(context, { policy, copy: identity(ann) });
    expect(found.password.reveal()).toBe(await password());
    expect(await codeOf(() => unwrapPassword(context, { policy, copy: identity(ben) }))).toBe(
      "operation.identity_unfit",
    );
    // Again: nothing new.
    const before = await copies();
    await init(context, { policy, generatePassword: false });
    expect(await copies()).toEqual(before);
  });

  test("refuses a weak password in words, and takes it where that is asked for", async () => {
    const policy = policyFor([]);
    await writeFile(join(folder, "key"), "shop-backup-2026", { mode: 0o600 });
    await expect(init(context, { policy, generatePassword: false })).rejects.toMatchObject({
      code: "operation.weak_password",
      message: expect.stringMatching(
        /^password of destination local that about 2\^\d+ guesses find/,
      ),
    });
    expect(await readdir(folder)).not.toContain("repo");
    const result = await init(context, { policy, generatePassword: false, allowWeak: true });
    expect(result.destinations[0]?.weakness).toMatch(/a common word|a name/);
  });
});

describe("keys", () => {
  test("of two people; one leaves; every step is in the audit log before it happens", async () => {
    const policy = await created([]);
    const added = await addRepositoryKey(context, {
      policy,
      newPassword: NEW,
      allowWeak: false,
      username: "ben",
      hostname: "laptop",
    });
    expect(added).toMatchObject({ owner: "ben@laptop" });
    const list = await listRepositoryKeys(context, { policy });
    expect(list.keys.map(({ username, hostname, state }) => [username, hostname, state])).toEqual([
      ["ann", "web1", "known"],
      ["ben", "laptop", "known"],
    ]);
    const plan = await planKeyRemoval(context, { policy, key: added.key.slice(0, 8) });
    expect(plan).toMatchObject({ keysLeft: 1, key: { username: "ben" } });
    expect(await plan.execute()).toEqual({ outcome: "complete" });
    const own = list.keys[0]?.id ?? "";
    expect(await codeOf(() => planKeyRemoval(context, { policy, key: own }))).toBe(
      "repository.key_in_use",
    );
    const log = await readFile(join(folder, "state/shop/audit.jsonl"), "utf8");
    const verbs = log.match(/"verb":"\w+"/g)?.map((verb) => verb.slice(8, -1));
    expect(verbs).toEqual(["add", "list", "remove", "remove"]);
    expect((await checkAuditLog(join(folder, "state/shop")))?.findings).toEqual([]);
    expect(log).not.toContain(NEW.typed.reveal());
    expect(log).not.toContain(await password());
  });

  test("that are weak are refused before anything is opened", async () => {
    const policy = await created([]);
    const weak = { policy, newPassword: { typed: new Secret("ann-laptop-1234") } };
    const add = (allowWeak: boolean) => addRepositoryKey(context, { ...weak, allowWeak });
    expect(await codeOf(() => add(false))).toBe("operation.weak_password");
    expect((await add(true)).weakness).toMatch(/guesses/);
  });

  test("that nobody vouches for are what doctor warns of, until a person adopts them", async () => {
    const policy = await created([]);
    await rm(join(folder, "repo/sparekeep/keys"), { recursive: true });
    const about = async () => {
      const { findings } = await doctor(context, { policy, nodeVersion: "v24.0.0" });
      return findings.filter(({ message }) => /vouches|not added through/.test(message));
    };
    expect(await about()).toMatchObject([{ status: "warn", subject: "destination local" }]);
    const plan = await planKeyAdoption(context, { policy, by: "Ann Meier" });
    expect(plan.keys).toHaveLength(1);
    await plan.execute();
    expect(await about()).toEqual([]);
  });
});

describe("a change of the password", () => {
  test("leaves the owners a copy of the new one alone, and the old one opens nothing", async () => {
    const policy = await created();
    const before = await copies();
    const options = { policy, newPassword: NEW, allowWeak: false };
    const changed = await changeRepositoryPassword(context, options);
    expect(changed).toMatchObject({ outcome: "complete", remainingCopies: [] });
    expect(await copies()).toHaveLength(1);
    expect(await copies()).not.toEqual(before);
    expect(await codeOf(() => listRepositoryKeys(context, { policy }))).toBe(
      "repository.wrong_password",
    );
    const found = await unwrapPassword(context, { policy, copy: identity(ann) });
    expect(found.password.reveal()).toBe(NEW.typed.reveal());
    await useNewPassword();
    expect(await listRepositoryKeys(context, { policy })).toMatchObject({
      wrapped: "current",
      keys: [{ id: changed.key, state: "known" }],
    });
  });
});

describe("wrapping", () => {
  test("follows the owners of the policy, and says who was one", async () => {
    await created();
    const policy = policyFor([ben.recipient]);
    expect((await listRepositoryKeys(context, { policy })).wrapped).toBe("outdated");
    const { findings } = await doctor(context, { policy, nodeVersion: "v24.0.0" });
    expect(findings).toContainEqual(
      expect.objectContaining({ status: "warn", fix: "Run `sparekeep key wrap`." }),
    );
    expect(await wrapPassword(context, { policy })).toMatchObject({
      outcome: "complete",
      created: true,
      removed: [expect.any(String)],
      formerOwners: [ann.recipient],
    });
    expect(await copies()).toHaveLength(1);
    expect(await codeOf(() => proveKey(context, { policy, copy: identity(ann) }))).toBe(
      "operation.identity_unfit",
    );
    expect(await proveKey(context, { policy, copy: identity(ben) })).toMatchObject({
      via: "identity",
      staleCopies: [],
    });
    expect(await wrapPassword(context, { policy })).toMatchObject({ created: false, removed: [] });
  });

  test("without owners is refused", async () => {
    const policy = await created([]);
    expect(await codeOf(() => wrapPassword(context, { policy }))).toBe("operation.owners_missing");
    expect(await codeOf(() => unwrapPassword(context, { policy, copy: identity(ann) }))).toBe(
      "operation.wrap_missing",
    );
  });

  test.for(["\n", " ", "\uFEFF"])(
    "a password that ends with %j, which no copy of it keeps, is refused",
    async (padding) => {
      const policy = await created([]);
      const padded = new Secret(`${NEW.typed.reveal()}${padding}`);
      const newPassword = { typed: padded };
      const add = () => addRepositoryKey(context, { policy, newPassword, allowWeak: true });
      expect(await codeOf(add)).toBe("operation.padded_password");
      // As another program may have made it, and an environment variable holds it.
      const repository = await openDestination(context, destinationNamed(policy));
      await addKey(repository, { ...WRITER, password: padded });
      const { destinations, ...rest } = policyFor([ann.recipient]);
      const local = { ...destinationNamed(policyFor([ann.recipient])), password: { env: "P" } };
      const named = { ...rest, destinations: { ...destinations, local } };
      const withEnv = { ...context, env: () => padded.reveal() };
      expect(await codeOf(() => wrapPassword(withEnv, { policy: named }))).toBe(
        "operation.padded_password",
      );
      const output = join(folder, "sheet.txt");
      const escrow = { policy: named, passphrase: PHRASE, allowWeak: false, output };
      expect(await codeOf(() => escrowKey(withEnv, escrow))).toBe("operation.padded_password");
    },
  );

  test("a recipient that only age can judge is found when it wraps", async () => {
    const policy = await created([]);
    const destination = { ...destinationNamed(policy), owners: ["age1tag1qqqq"] };
    const bent = { ...policy, destinations: { local: destination } };
    expect(await codeOf(() => wrapPassword(context, { policy: bent }))).toBe(
      "operation.owner_invalid",
    );
  });

  test("a copy that was cut is damaged and never half a password", async () => {
    const policy = await created();
    const [name = ""] = await copies();
    const path = join(folder, "repo/sparekeep/owners", name);
    const bytes = await readFile(path);
    await rm(path);
    await writeFile(path, bytes.subarray(0, -30));
    expect(await codeOf(() => unwrapPassword(context, { policy, copy: identity(ann) }))).toBe(
      "operation.wrap_damaged",
    );
  });

  test.for(["spoilt", "gone"])("a copy that is %s is none, and is made again", async (how) => {
    const policy = await created();
    const [name = ""] = await copies();
    const path = join(folder, "repo/sparekeep/owners", name);
    await rm(path);
    if (how === "spoilt") await writeFile(path, "garbage");
    expect(await listRepositoryKeys(context, { policy })).toMatchObject({ wrapped: "outdated" });
    expect(await wrapPassword(context, { policy })).toMatchObject({ created: true });
    expect(await copies()).not.toContain(name);
    const found = await unwrapPassword(context, { policy, copy: identity(ann) });
    expect(found.password.reveal()).toBe(await password());
  });

  test("a copy of another password is found by prove, with the code of a wrong password", async () => {
    const policy = await created();
    const [current = ""] = await copies();
    const stale = await wrapFor([ann.recipient], new Secret("of last year"));
    const id = createHash("sha256").update(stale).digest("hex");
    const owners = join(folder, "repo/sparekeep/owners");
    await writeFile(join(owners, `${id}.age`), stale);
    const prove = () => proveKey(context, { policy, copy: identity(ann) });
    expect((await prove()).staleCopies).toEqual([id]);
    await rm(join(owners, current));
    expect(await codeOf(prove)).toBe("repository.wrong_password");
  });
});

describe("an identity file", () => {
  test.for([
    ["of comments alone", "# nothing\n"],
    ["with a typing error", "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJ\n"],
    ["that is something else", "hunter2\n"],
  ])("%s is refused, and nothing of it repeated", async ([, text = ""]) => {
    const policy = await created();
    const file = join(folder, "bad.txt");
    await writeFile(file, text, { mode: 0o600 });
    const unwrap = () => unwrapPassword(context, { policy, copy: { kind: "identity", file } });
    const error = await unwrap().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "operation.identity_invalid" });
    expect(inspect(error, { depth: 9 })).not.toContain(text.trim());
  });

  test("that others may read is refused", async () => {
    const policy = await created();
    const file = join(folder, "open.txt");
    await writeFile(file, await readFile(ann.file), { mode: 0o644 });
    const copy = { kind: "identity", file } as const;
    expect(await codeOf(() => unwrapPassword(context, { policy, copy }))).toBe("secrets.exposed");
  });
});

describe("a paper copy", () => {
  async function sheet(policy: Policy, name = "sheet.txt"): Promise<string> {
    const output = join(folder, name);
    await escrowKey(context, { policy, passphrase: PHRASE, allowWeak: false, output });
    return await readFile(output, "utf8");
  }
  const paper = (text: string, passphrase: typeof PHRASE = PHRASE): KeyCopy => ({
    kind: "escrow",
    text,
    passphrase,
  });

  test("proves that it opens the repository, and the proof is recorded", async () => {
    const policy = await created();
    const text = await sheet(policy);
    const repository = await openDestination(context, destinationNamed(policy));
    expect(text).toContain(repository.id);
    expect(text).toContain(repository.location);
    expect(text).not.toContain(await password());
    const proof = await proveKey(context, { policy, copy: paper(text) });
    expect(proof).toMatchObject({ via: "escrow", key: repository.keyId, owner: "ann@web1" });
    const log = await readFile(join(folder, "state/shop/audit.jsonl"), "utf8");
    expect(log).toContain(`"key":"${repository.keyId}","verb":"proven","via":"escrow"`);
    expect((await stat(join(folder, "sheet.txt"))).mode & 0o777).toBe(0o600);
  });

  test("gives the password back where everything else is lost", async () => {
    const policy = await created();
    const before = await password();
    const text = await sheet(policy);
    await rm(join(folder, "key"));
    const found = await unwrapPassword(context, { policy, copy: paper(text.toLowerCase()) });
    const out = join(folder, "recovered");
    await savePassword(found.password, out);
    expect((await readFile(out, "utf8")).trim()).toBe(before);
    expect((await stat(out)).mode & 0o777).toBe(0o600);
    expect(await codeOf(() => savePassword(found.password, out))).toBe("operation.file_exists");
  });

  test("as a page loads nothing and holds the same lines", async () => {
    const policy = await created([]);
    const html = await sheet(policy, "sheet.html");
    expect(html).toContain("default-src 'none'");
    expect(html).not.toMatch(/src=|href=|<script/);
    expect(await proveKey(context, { policy, copy: paper(html) })).toMatchObject({ via: "escrow" });
  });

  test("with a typing error names the line; with another passphrase says so", async () => {
    const policy = await created([]);
    const text = await sheet(policy);
    const wrong = text.replace(
      /^( {2}3 {2})(.)/m,
      (_, head: string, sign: string) => head + (sign === "A" ? "C" : "A"),
    );
    await expect(proveKey(context, { policy, copy: paper(wrong) })).rejects.toMatchObject({
      code: "operation.paper_mistyped",
      message: "paper copy: line 3 missing or mistyped",
    });
    expect(await codeOf(() => proveKey(context, { policy, copy: paper(text, NEW) }))).toBe(
      "operation.passphrase_wrong",
    );
  });

  test("of a password whose key was removed is a wrong password: exit 12", async () => {
    const policy = await created([]);
    const text = await sheet(policy);
    await changeRepositoryPassword(context, { policy, newPassword: NEW, allowWeak: false });
    await expect(proveKey(context, { policy, copy: paper(text) })).rejects.toMatchObject({
      code: "repository.wrong_password",
      kind: "auth",
    });
    const typed = { kind: "password", password: NEW } as const;
    expect(await proveKey(context, { policy, copy: typed })).toMatchObject({ via: "password" });
  });

  test("under a weak passphrase is refused", async () => {
    const policy = await created([]);
    const passphrase = { typed: new Secret("sunshine") };
    const output = join(folder, "weak.txt");
    const escrow = () => escrowKey(context, { policy, passphrase, allowWeak: false, output });
    expect(await codeOf(escrow)).toBe("operation.weak_password");
    expect(await codeOf(() => readSheet(output))).toBe("operation.paper_mistyped");
  });
});
