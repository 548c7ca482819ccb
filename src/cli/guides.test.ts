import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { silentLog, systemClock } from "../kernel/index.ts";
import { describe, expect, test } from "vitest";
import { runCli } from "./program.ts";
import { testRuntime } from "./testing/runtime.ts";

/** At three in the morning a command of a guide must be one that exists. */

const GUIDES = join(import.meta.dirname, "../../docs/guides");

async function helpOf(verb: string): Promise<{ code: number; text: string }> {
  const runtime = testRuntime({
    clock: systemClock,
    random: (size) => new Uint8Array(size),
    log: silentLog,
    signal: new AbortController().signal,
    actor: "ann",
    hostname: "web1",
    pid: 1,
    env: () => undefined,
    toolDirectories: [],
    stateDirectory: "",
    version: "0.0.0-test",
  });
  const code = await runCli([verb, "--help"], runtime);
  return { code, text: runtime.stdout.text };
}

async function commandsIn(guide: string): Promise<string[]> {
  const text = await readFile(join(GUIDES, guide), "utf8");
  const blocks = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = ""]) => block);
  return blocks
    .flatMap((block) => block.split("\n"))
    .filter((line) => line.startsWith("sparekeep "));
}

describe("the commands of the guides", () => {
  test.for([
    ["ransomware.md", 12],
    ["release.md", 5],
    ["s3.md", 3],
    ["one-table-back.md", 8],
  ] as const)("of %s exist, with every option that they use", async ([guide, least]) => {
    const commands = await commandsIn(guide);
    expect(commands.length).toBeGreaterThanOrEqual(least);
    for (const command of commands) {
      const [, verb = "", ...words] = command.split(/\s+/);
      const help = await helpOf(verb);
      expect([command, help.code]).toEqual([command, 0]);
      const options = words.filter((word) => word.startsWith("--"));
      const known = options.filter((option) => help.text.includes(option));
      expect([command, known]).toEqual([command, options]);
    }
  });

  test("of a bucket's set-up grant nobody the right to delete versions or to bypass", async () => {
    const text = await readFile(join(GUIDES, "s3.md"), "utf8");
    const documents = [...text.matchAll(/```json\n([\s\S]*?)```/g)].map(([, json = ""]): unknown =>
      JSON.parse(json),
    );
    const policies = documents.filter((document) => JSON.stringify(document).includes("Statement"));
    expect(policies).toHaveLength(3);
    for (const policy of policies) {
      const rights = JSON.stringify(policy)
        .split('"Sid":')
        .map((statement) => ({
          denies: statement.includes('"Effect":"Deny"'),
          dangerous: /DeleteObjectVersion|BypassGovernanceRetention/.test(statement),
        }));
      expect(rights.filter(({ dangerous }) => dangerous)).toEqual([
        { denies: true, dangerous: true },
      ]);
    }
  });
});
