import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { describe, expect, test } from "vitest";
import { Secret } from "../../src/kernel/index.ts";
import { createTemporaryFolder } from "../../src/objectstore/testing/index.ts";
import {
  escrowKey,
  init,
  planKeyAdoption,
  unwrapPassword,
  wrapPassword,
} from "../../src/operation/index.ts";
import { parsePolicy } from "../../src/policy/index.ts";
import {
  addKey,
  changePassword,
  listKeys,
  planRemoveKey,
  unknownKeys,
} from "../../src/repository/index.ts";
import { requireAge, shell } from "../support/age.ts";
import { operationContext } from "../support/operation-context.ts";
import {
  createOurs,
  openOurs,
  PASSWORD,
  storeAt,
  TEST_COST,
  WRITER,
} from "../support/restic-repository.ts";
import { createRestic, NEWEST_RESTIC, OLDEST_RESTIC } from "../support/restic.ts";
import type { Restic } from "../support/restic.ts";

interface ResticKey {
  readonly id: string;
  readonly current: boolean;
  readonly userName: string;
  readonly hostName: string;
}

async function keysBy(restic: Restic): Promise<readonly ResticKey[]> {
  const { stdout } = await restic.run(["key", "list", "--json"]);
  const parsed: unknown = JSON.parse(stdout);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return parsed as readonly ResticKey[];
}

const SECOND = "a second password";
const THIRD = "a third password";

describe.for([OLDEST_RESTIC, NEWEST_RESTIC])("keys and restic %s", (version) => {
  test("lists, uses, changes and removes what we added", async () => {
    await using folder = await createTemporaryFolder();
    const store = storeAt(folder.path);
    const repository = await createOurs(store);
    const owner = { username: "ann", hostname: "laptop" };
    const asker = { ...WRITER, cost: TEST_COST };
    const added = await addKey(repository, { ...asker, password: new Secret(SECOND), owner });
    await using restic = await createRestic(version, folder.path, SECOND);
    const listed = await keysBy(restic);
    expect(listed).toHaveLength(2);
    expect(listed.find(({ current }) => current)).toMatchObject({
      // Eight digits until 0.18, all of them later.
      id: expect.stringMatching(`^${added.slice(0, 8)}`),
      userName: "ann",
      hostName: "laptop",
    });
    // Our first key, removed by restic: the records know it, the list does not show it.
    await restic.run(["key", "remove", repository.keyId.slice(0, 8)]);
    const ours = await openOurs(store, SECOND);
    expect((await listKeys(ours)).keys).toMatchObject([{ id: added, state: "known" }]);
    // And changed by us: restic's password is no good any more.
    const password = new Secret(THIRD);
    expect(await changePassword(ours, { ...asker, password })).toMatchObject({
      outcome: "complete",
      removed: added,
    });
    expect((await restic.run(["snapshots"], { codes: [1, 12] })).stderr).toMatch(/wrong password/);
    await using third = await restic.withPassword(THIRD);
    await third.run(["check"]);
    await third.run(["unlock"]);
  });

  test("makes keys that we open, show as not added through us, and remove", async () => {
    await using folder = await createTemporaryFolder();
    await using restic = await createRestic(version, folder.path, PASSWORD);
    await restic.run(["init", "--repository-version", "2"]);
    await using second = await restic.withPassword(SECOND);
    await restic.run(["key", "add", "--new-password-file", second.passwordFile]);
    const store = storeAt(folder.path);
    const ours = await openOurs(store, SECOND);
    const unknown = await unknownKeys(ours);
    expect(unknown).toHaveLength(2);
    const first = unknown.find(({ current }) => !current)?.id ?? "";
    await using third = await restic.withPassword(THIRD);
    await second.run(["key", "passwd", "--new-password-file", third.passwordFile]);
    const changed = await openOurs(store, THIRD);
    expect((await listKeys(changed)).keys.map(({ id }) => id)).not.toContain(ours.keyId);
    const asker = { ...WRITER, password: new Secret(THIRD) };
    const plan = await planRemoveKey(changed, first, asker);
    expect(await plan.execute()).toEqual({ outcome: "complete" });
    expect(await keysBy(third)).toMatchObject([
      { id: expect.stringMatching(`^${changed.keyId.slice(0, 8)}`), current: true },
    ]);
    await third.run(["check"]);
  });

  test("after it added a key to a repository of ours, that key is an alert", async () => {
    await using folder = await createTemporaryFolder();
    const repository = await createOurs(storeAt(folder.path));
    await using restic = await createRestic(version, folder.path, PASSWORD);
    await using second = await restic.withPassword(SECOND);
    await restic.run(["key", "add", "--new-password-file", second.passwordFile]);
    const { findings } = await repository.check({ readData: false });
    expect(findings).toMatchObject([{ code: "key_unknown", severity: "warning" }]);
  });
});

describe("stock age", () => {
  const age = requireAge();

  test("opens the wrapped copy, and restic the repository with what it gives", async () => {
    await using folder = await createTemporaryFolder();
    const identity = await generateX25519Identity();
    await writeFile(join(folder.path, "me.txt"), `${identity}\n`, { mode: 0o600 });
    const context = operationContext(join(folder.path, "state"));
    const recipient = await identityToRecipient(identity);
    const policy = parsePolicy({
      text: `sparekeep: 1
name: shop
sources: {}
destinations: { local: { url: ./repo, password: { file: ./key }, owners: [${recipient}] } }
plans: {}
`,
      file: "p.yaml",
      directory: folder.path,
    });
    await init(context, { policy, generatePassword: true });
    const env = { PATH: `${dirname(age)}:/usr/bin:/bin` };
    const said = await shell("age -d -i me.txt repo/sparekeep/owners/*.age", folder.path, env);
    expect(said).toBe(await readFile(join(folder.path, "key"), "utf8"));
    await using restic = await createRestic(NEWEST_RESTIC, join(folder.path, "repo"), said);
    expect(await keysBy(restic)).toMatchObject([{ current: true }]);
    await restic.run(["check"]);
  });

  test("opens a copy that stock age wrapped, and a repository that restic made is adopted", async () => {
    await using folder = await createTemporaryFolder();
    const password = "3vT0yQ1nq8oPZrJm2kX7wLd5sHc9fBgA";
    await using restic = await createRestic(NEWEST_RESTIC, join(folder.path, "repo"), password);
    await restic.run(["init"]);
    const env = { PATH: `${dirname(age)}:/usr/bin:/bin` };
    await shell("age-keygen -o me.txt 2>/dev/null; chmod 600 me.txt", folder.path, env);
    const recipient = (await shell("age-keygen -y me.txt", folder.path, env)).trim();
    await writeFile(join(folder.path, "key"), password, { mode: 0o600 });
    await writeFile(
      join(folder.path, "p.yaml"),
      `sparekeep: 1
name: shop
sources: {}
destinations: { local: { url: ./repo, password: { file: ./key }, owners: [${recipient}] } }
plans: {}
`,
    );
    const text = await readFile(join(folder.path, "p.yaml"), "utf8");
    const policy = parsePolicy({ text, file: "p.yaml", directory: folder.path });
    const context = operationContext(join(folder.path, "state"));
    const plan = await planKeyAdoption(context, { policy, by: "Ann Meier" });
    expect(plan.keys).toHaveLength(1);
    await plan.execute();
    expect(await wrapPassword(context, { policy })).toMatchObject({ outcome: "complete" });
    const copy = { kind: "identity", file: join(folder.path, "me.txt") } as const;
    const found = await unwrapPassword(context, { policy, copy });
    expect(found.password.reveal()).toBe(password);
    // Put there by hand: what stock age wrapped opens as well.
    const wrapped = join(folder.path, "repo/sparekeep/owners");
    await shell(
      `rm -f "$WRAPPED"/*.age; printf '%s\\n' "$(cat key)" | age -r ${recipient} -o own.age; mv own.age "$WRAPPED/$(sha256sum own.age | cut -c1-64).age"`,
      folder.path,
      { ...env, WRAPPED: wrapped },
    );
    const again = await unwrapPassword(context, { policy, copy });
    expect(again.password.reveal()).toBe(password);
  });

  test("opens the paper copy by the commands that stand on it", async () => {
    await using folder = await createTemporaryFolder();
    const phrase = "unaided clock ruffian stanza wobble kelp";
    const context = operationContext(join(folder.path, "state"));
    const text =
      "sparekeep: 1\nname: shop\nsources: {}\ndestinations: { local: { url: ./repo, password: { file: ./key } } }\nplans: {}\n";
    const policy = parsePolicy({ text, file: "p.yaml", directory: folder.path });
    await init(context, { policy, generatePassword: true });
    const output = join(folder.path, "printed.txt");
    const passphrase = { typed: new Secret(phrase) };
    await escrowKey(context, { policy, passphrase, allowWeak: false, output });
    const printed = await readFile(output, "utf8");
    // Typed in as people do: the numbered lines alone, in small letters, and the commands as they stand there.
    const lines = printed.match(/^ *\d+ {2}[A-Z2-7 ]+$/gm) ?? [];
    expect(lines.length).toBeGreaterThan(8);
    await writeFile(join(folder.path, "sheet.txt"), `${lines.join("\n").toLowerCase()}\n`);
    const decode = /^ {5}(grep [^]*?sheet\.age)$/m.exec(printed)?.[1] ?? "exit 1";
    const open = /^ {5}\(umask 077; (age .*)\)$/m.exec(printed)?.[1] ?? "exit 1";
    const env = { PATH: `${dirname(age)}:/usr/bin:/bin` };
    await shell(decode, folder.path, env);
    // age reads a passphrase from a terminal alone; `script` is one.
    await shell(`script -qec '${open}' /dev/null`, folder.path, env, `${phrase}\n`);
    const opened = await readFile(join(folder.path, "password"), "utf8");
    expect(opened.trim()).toBe((await readFile(join(folder.path, "key"), "utf8")).trim());
    await using restic = await createRestic(OLDEST_RESTIC, join(folder.path, "repo"), opened);
    await restic.run(["snapshots"]);
  });
});
