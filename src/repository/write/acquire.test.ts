import { expect, test } from "vitest";
import { createFixture, keysOf, PASSWORD, reopen, saveFiles } from "../testing/fixtures.ts";
import { createRepository } from "../open.ts";
import { CHEAP_COST, seededRandom, WRITER } from "../testing/fixtures.ts";

/** A repository may be opened once and written to for weeks: the folder under its name can become another one. */

test("a place that has become empty, as an unplugged disk leaves it, is not written to", async () => {
  const { store, repository } = await createFixture();
  await saveFiles(repository, { a: "a" });
  for (const key of await keysOf(store, "")) await store.remove(key);
  await expect(repository.acquireWriter(WRITER)).rejects.toThrow(
    expect.objectContaining({ code: "repository.not_found" }),
  );
  expect(await keysOf(store, "")).toEqual([]);
});

test("a place that has become another repository is not written to", async () => {
  const fixture = await createFixture();
  const { store, clock, repository } = fixture;
  for (const key of await keysOf(store, "")) await store.remove(key);
  const options = { password: PASSWORD, hostname: "h", username: "u", cost: CHEAP_COST };
  await createRepository({ store, clock, random: seededRandom("another") }, options);
  const before = await keysOf(store, "");
  await expect(repository.acquireWriter(WRITER)).rejects.toThrow(
    expect.objectContaining({ code: "repository.config_damaged" }),
  );
  expect(await keysOf(store, "")).toEqual(before);
  await saveFiles(await reopen(fixture, store), { a: "a" });
});
