import { chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createTemporaryFolder } from "../../src/objectstore/testing/index.ts";
import { init } from "../../src/operation/index.ts";
import type { OperationContext } from "../../src/operation/index.ts";
import { parsePolicy } from "../../src/policy/index.ts";
import type { Policy } from "../../src/policy/index.ts";
import { clientToolFolders } from "../../src/postgres/index.ts";
import { testTools } from "./capture.ts";
import { operationContext } from "./operation-context.ts";

/** A policy with one plan of dumps into a folder, its repository for records made, on a database of the test's. */
export interface DumpBench extends AsyncDisposable {
  readonly folder: string;
  readonly dumps: string;
  readonly policy: Policy;
  readonly context: OperationContext;
  policyWith(changes: DumpChanges): Policy;
  /** The context with programs in front of the real ones: name → shell script, `REAL` being the real one. */
  planted(scripts: Readonly<Record<string, string>>): Promise<OperationContext>;
}

export interface DumpChanges {
  readonly recipients?: readonly string[];
  readonly keys?: readonly string[];
  readonly name?: string;
  /** In place of the folder. */
  readonly destination?: string;
  readonly encrypt?: string;
}

export async function createDumpBench(
  url: string,
  keyFile: string,
  recipient: string,
): Promise<DumpBench> {
  const temporary = await createTemporaryFolder();
  const folder = temporary.path;
  await writeFile(join(folder, "password"), "correct horse battery staple 9812", { mode: 0o600 });
  await writeFile(join(folder, "url"), url, { mode: 0o600 });
  const context = {
    ...operationContext(join(folder, "state")),
    toolDirectories: await clientToolFolders(process.env["PATH"]),
  };
  const policyWith = (changes: DumpChanges): Policy => {
    const gpg = (changes.recipients ?? [recipient]).join(", ");
    const keys = (changes.keys ?? [keyFile]).join(", ");
    const encrypt = changes.encrypt ?? `{ gpg: [${gpg}], keys: [${keys}] }`;
    const text = [
      "sparekeep: 1",
      "name: shop",
      `sources: { db: { kind: postgres, connection: { file: url } } }`,
      "destinations:",
      "  production: { url: ./repository, password: { file: password } }",
      `  dumps: { files: true, manifests: production, ${changes.destination ?? "url: ./dumps"} }`,
      "plans:",
      `  weekly: { source: db, capture: pg_dump, encrypt: ${encrypt}, to: dumps, name: "${changes.name ?? "shop_{date}_{time}.dump.gpg"}" }`,
    ].join("\n");
    return parsePolicy({ text, file: "p.yaml", directory: folder });
  };
  const policy = policyWith({});
  await init(context, { policy, generatePassword: false, allowWeak: false });
  let planted = 0;
  return {
    folder,
    dumps: join(folder, "dumps"),
    policy,
    context,
    policyWith,
    planted: async (scripts) => {
      planted += 1;
      const place = join(folder, `programs-${planted}`);
      await mkdir(place);
      const tools = await testTools();
      const real = new Map([
        ["pg_dump", tools.pgDump],
        ["pg_restore", tools.pgRestore],
        ["psql", tools.psql],
        ["gpg", "/usr/bin/gpg"],
        ["gpgconf", "/usr/bin/gpgconf"],
      ]);
      for (const [name, path] of real) {
        const script = scripts[name];
        if (script === undefined) await symlink(path, join(place, name));
        else {
          const text = `#!/bin/sh\ncase "$1" in --version) exec ${path} --version;; esac\n${script.replaceAll("REAL", path)}\n`;
          await writeFile(join(place, name), text);
          await chmod(join(place, name), 0o755);
        }
      }
      return { ...context, toolDirectories: [place, dirname(tools.pgDump)] };
    },
    [Symbol.asyncDispose]: () => temporary[Symbol.asyncDispose](),
  };
}
