import { spawnSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startCluster } from "../support/cluster.ts";
import { compareImages, takeImage } from "../support/compare.ts";
import { CHECKOUT, ordinaryUser, runDemo } from "../support/demo.ts";
import { startMarketplace } from "../support/marketplace.ts";
import { runRestoreScript } from "../support/recovered-folder.ts";

const HAPPY_END = /No difference but those .*announced[\s\S]*Destroyed and recovered/;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "sparekeep-demo-test-"));
  chmodSync(folder, 0o755);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("npm run demo", () => {
  test("as whoever runs the tests: six chapters, nothing different, nothing left", async () => {
    const run = await runDemo();
    expect(run.output).toMatch(HAPPY_END);
    expect(run.output.match(/^\d\/6 /gm)).toEqual(["1/6 ", "2/6 ", "3/6 ", "4/6 ", "5/6 ", "6/6 "]);
    expect(run).toEqual(expect.objectContaining({ exitCode: 0, left: [] }));
    expect(run.output).not.toMatch(/warning/i);
    // Plain lines where no terminal is: nothing moves the cursor.
    // oxlint-disable-next-line no-control-regex
    expect(run.output).not.toMatch(/[\u001B\r]/);
  });

  test("as an ordinary user without sudo", async () => {
    const user = ordinaryUser();
    const command =
      user === undefined
        ? undefined
        : [readableNode(folder), join(copyCheckout(folder), "demo/main.ts")];
    const run = await runDemo({
      ...(user === undefined ? {} : { user }),
      ...(command === undefined ? {} : { command }),
    });
    expect(run.output).toMatch(HAPPY_END);
    expect(run).toEqual(expect.objectContaining({ exitCode: 0, left: [] }));
  });

  test("with a PostgreSQL on port 5432 already, which it does not touch", async () => {
    const isFree = await portIsFree(5432);
    await using mine = isFree ? await startCluster({ port: 5432 }) : undefined;
    const run = await runDemo();
    expect(run).toEqual(expect.objectContaining({ exitCode: 0, left: [] }));
    expect(run.output).toMatch(HAPPY_END);
    expect(run.output).not.toContain("127.0.0.1:5432");
    const databases = await mine?.query("SELECT datname FROM pg_database WHERE NOT datistemplate");
    expect(databases ?? [{ datname: "postgres" }]).toEqual([{ datname: "postgres" }]);
  });

  test("a second time without a network: npm is not called", async () => {
    const bin = join(folder, "bin");
    mkdirSync(bin);
    for (const name of ["npm", "npx", "curl", "wget", "apt-get", "sudo"]) {
      writeFileSync(join(bin, name), `#!/bin/sh\necho ${name} was called >&2\nexit 9\n`, {
        mode: 0o755,
      });
    }
    const run = await runDemo({
      command: [process.execPath, join(CHECKOUT, "scripts/demo.js")],
      env: { PATH: `${bin}:/usr/bin:/bin` },
    });
    expect(run.output).not.toContain("was called");
    expect(run.output).toMatch(HAPPY_END);
    expect(run).toEqual(expect.objectContaining({ exitCode: 0, left: [] }));
  });

  const MOMENTS: readonly (readonly [string, RegExp])[] = [
    ["while the server is made", /^1\/6/m],
    ["while the marketplace is loaded", /started in/],
    ["while rows are remembered", /^load:/m],
    ["while it is backed up", /^2\/6/m],
    ["while tables are read", /^schema:/m],
    ["while the snapshot is shown", /^3\/6/m],
    ["while the source is destroyed", /^4\/6/m],
    ["while the target is started", /^5\/6/m],
    ["while tables are loaded", /^prepare:/m],
    ["while indexes are built", /^5\/6[\s\S]*^tables:/m],
    ["while it is compared", /^6\/6/m],
  ];
  test.for(MOMENTS)("Ctrl-C %s: exit 130, nothing left", async ([moment, when]) => {
    const name = `interrupted-${moment.replaceAll(" ", "-")}`;
    const kept = join(folder, name);
    const run = await runDemo({
      args: ["--small", "--keep", kept],
      interrupt: { when, signal: "SIGINT" },
    });
    expect(run.output).toContain("stopped by SIGINT; everything that was started is gone");
    expect(run).toEqual(expect.objectContaining({ exitCode: 130, left: [] }));
    expect(readdirSync(folder)).not.toContain(name);
    expect(run.output).not.toContain("Destroyed and recovered");
  });

  test("output that nobody reads any more stops it too", async () => {
    const script = `"$0" "$1" --small 2>&1 | { head -n 3; sleep 0.1; }`;
    const command = ["/bin/bash", "-o", "pipefail", "-c", script, process.execPath];
    const run = await runDemo({ command, args: [join(CHECKOUT, "demo/main.ts")] });
    expect(run).toEqual(expect.objectContaining({ exitCode: 130, left: [] }));
  });

  test("arguments that it does not know, and a folder that holds something", async () => {
    const unknown = await runDemo({ args: ["--smal"] });
    expect(unknown.output).toContain("error: arguments of the demo: Unknown option '--smal'");
    expect(unknown).toEqual(expect.objectContaining({ exitCode: 2, left: [] }));
    const full = join(folder, "full");
    mkdirSync(full);
    writeFileSync(join(full, "mine"), "precious");
    const refused = await runDemo({ args: ["--keep", full] });
    expect(refused.output).toContain(`folder ${full} holds 1 entries`);
    expect(refused.output).toContain("fix: Name a folder that is empty or does not exist.");
    expect(refused.exitCode).toBe(2);
    expect(readdirSync(full)).toEqual(["mine"]);
    const help = await runDemo({ args: ["--help"] });
    expect(help.output).toContain("npm run demo -- --keep DIR");
    expect(help.exitCode).toBe(0);
  });

  test("the kept repository rebuilds the same database with stock restic and restore.sh alone", async () => {
    const kept = join(folder, "kept");
    const owner = ordinaryUser();
    const sudo = owner && { SUDO_UID: String(owner.uid), SUDO_GID: String(owner.gid) };
    const run = await runDemo({ args: ["--small", "--keep", kept], env: sudo ?? {} });
    expect(run).toEqual(expect.objectContaining({ exitCode: 0, left: [] }));
    for (const path of ["", "password", "repository", "repository/config"]) {
      expect(statSync(join(kept, path)).uid).toBe(owner?.uid ?? process.getuid?.());
    }
    expect(readdirSync(kept).toSorted()).toEqual(["password", "repository"]);
    expect(statSync(join(kept, "password")).mode & 0o777).toBe(0o600);

    const restic = (...args: string[]): string => {
      const files = ["-r", join(kept, "repository"), "--password-file", join(kept, "password")];
      const ended = spawnSync("restic", [...files, "--no-cache", ...args], { encoding: "utf8" });
      expect({ status: ended.status, stderr: ended.stderr }).toEqual({ status: 0, stderr: "" });
      return ended.stdout;
    };
    expect(restic("check", "--read-data")).toContain("no errors were found");
    const recovered = join(folder, "recovered");
    restic("restore", "latest", "--target", recovered);

    await using source = await startMarketplace({ scale: 0.02 });
    await using target = await startCluster();
    await target.createDatabase("marketplace");
    const ended = runRestoreScript(recovered, target, "marketplace");
    expect(ended.output).not.toMatch(/error/i);
    expect(ended.status).toBe(0);
    const before = await takeImage({ url: source.cluster.url(source.database) });
    const after = await takeImage({
      url: target.url("marketplace"),
      ignoreRoles: [target.superuser],
    });
    const differences = compareImages(before, after).filter(
      ({ kind, aspect }) => kind !== "role" || (aspect !== "superuser" && aspect !== "replication"),
    );
    expect(differences).toEqual([]);
  });
});

/** Other users may not see into the checkout: what the demo needs is copied to where they can. */
function copyCheckout(to: string): string {
  const copy = join(to, "checkout");
  mkdirSync(copy);
  for (const name of ["demo", "src", "package.json", "node_modules"]) {
    const ended = spawnSync("cp", ["-RL", join(CHECKOUT, name), join(copy, name)], {
      encoding: "utf8",
    });
    expect(ended.stderr).toBe("");
  }
  spawnSync("chmod", ["-R", "a+rX", copy]);
  return copy;
}

function readableNode(to: string): string {
  const node = join(to, "node");
  expect(spawnSync("cp", [process.execPath, node]).status).toBe(0);
  chmodSync(node, 0o755);
  return node;
}

async function portIsFree(port: number): Promise<boolean> {
  const server = createServer();
  const outcome = Promise.race([
    once(server, "listening").then(() => true),
    once(server, "error").then(() => false),
  ]);
  server.listen(port, "127.0.0.1");
  const isFree = await outcome;
  if (isFree) {
    server.close();
    await once(server, "close");
  }
  return isFree;
}
