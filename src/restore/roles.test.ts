import { describe, expect, test } from "vitest";
import type { RoleManifest } from "../manifest/index.ts";
import { createRoleStatements, finishRole, planRoles } from "./roles.ts";
import type { TargetRole } from "./roles.ts";

const role = (name: string, more: Partial<RoleManifest> = {}): RoleManifest => ({
  name,
  superuser: false,
  inherit: true,
  createRole: false,
  createDb: false,
  canLogin: false,
  replication: false,
  bypassRls: false,
  connectionLimit: -1,
  memberOf: [],
  settings: [],
  ...more,
});

const member = (of: string): Pick<RoleManifest, "memberOf"> => ({
  memberOf: [{ role: of, adminOption: false, grantor: "x" }],
});

const at = (name: string, more: Partial<TargetRole> = {}): [string, TargetRole] => [
  name,
  { name, powerful: false, creator: false, unfinished: false, ...more },
];

const plan = (
  source: readonly RoleManifest[],
  target: readonly [string, TargetRole][],
  owners: readonly string[] = [],
  trustSource = false,
) =>
  planRoles({
    source,
    target: new Map(target),
    owners: new Set(owners),
    trustSource,
    bySuperuser: true,
  });

const finish = (one: RoleManifest, target: readonly [string, TargetRole][] = []) =>
  finishRole({
    role: one,
    target: new Map(target),
    contexts: new Map([
      ["search_path", "user"],
      ["log_statement", "superuser"],
      ["archive_command", "sighup"],
      ["session_preload_libraries", "superuser"],
    ]),
    targetVersionNum: 150_000,
    bySuperuser: true,
    sourceDatabase: "app",
    targetDatabase: 'ba"ck',
  });

describe("roles of a restore", () => {
  test("are created bare, and those that are there stay as they are", () => {
    const result = plan([role("new"), role("old")], [at("old")]);
    expect(result.create.map(({ name }) => name)).toEqual(["new"]);
    expect(result.finish.map(({ name }) => name)).toEqual(["new"]);
    expect(result.kept).toEqual(["old"]);
  });

  test("that an interrupted restore made are finished, not kept", () => {
    const result = plan([role("half")], [at("half", { unfinished: true })]);
    expect(result.create).toEqual([]);
    expect(result.finish.map(({ name }) => name)).toEqual(["half"]);
    expect(result.kept).toEqual([]);
  });

  test("collide where an owner is a superuser at the target, unless the source is trusted", () => {
    const target = [at("postgres", { powerful: true })];
    expect(plan([role("postgres")], target, ["postgres"]).collisions).toEqual(["postgres"]);
    expect(plan([role("postgres")], target, []).collisions).toEqual([]);
    expect(plan([role("postgres")], target, ["postgres"], true).collisions).toEqual([]);
  });

  test("never become superuser or replication", () => {
    const mighty = role("boss", { superuser: true, replication: true, bypassRls: true });
    const text = [
      ...createRoleStatements(mighty, "mark", true),
      ...finish(mighty).statements,
    ].join();
    expect(text).not.toMatch(/(?<!NO)(SUPERUSER|REPLICATION)/);
    expect(plan([mighty], []).withheld.map(({ reason }) => reason)).toEqual([
      "superuser at the source, ordinary here",
      "REPLICATION is not given back",
    ]);
  });

  test.for([
    ["pg_execute_server_program", [], false],
    ["pg_read_server_files", [], false],
    ["pg_write_server_files", [], false],
    ["pg_of_a_later_version", [], false],
    ["admin", [at("admin", { powerful: true })], false],
    ["creator", [at("creator", { creator: true })], false],
    ["pg_read_all_data", [], true],
    ["app", [at("app")], true],
  ] as [string, [string, TargetRole][], boolean][])(
    "become members of %s only where that is harmless",
    ([group, target, given]) => {
      const one = role("bob", member(group));
      const text = finish(one, [...target]).statements.join(";");
      expect(text.includes(`GRANT "${group}" TO "bob"`)).toBe(given);
      const withheld = plan([one], [...target]).withheld;
      expect(withheld.some(({ reason }) => reason.includes(group))).toBe(!given);
    },
  );

  test("get their settings, lists as lists, in the database restored into", () => {
    const one = role("bob", {
      settings: [
        { setting: 'search_path="$user", app' },
        { database: "app", setting: "app.secret=it's" },
        { database: "other", setting: "search_path=x" },
        { setting: "log_statement=all" },
      ],
    });
    expect(finish(one).statements.slice(1, -1)).toEqual([
      `ALTER ROLE "bob" SET "search_path" TO '$user', 'app'`,
      `ALTER ROLE "bob" IN DATABASE "ba""ck" SET "app"."secret" TO 'it''s'`,
      `ALTER ROLE "bob" SET "log_statement" TO 'all'`,
    ]);
  });

  test("get no setting that loads code or reaches a file", () => {
    const settings = [
      "session_preload_libraries=evil",
      "archive_command=x",
      "unknown=1",
      "role=boss",
    ];
    const one = role("bob", { settings: settings.map((setting) => ({ setting })) });
    const result = finish(one);
    expect(result.statements).toHaveLength(2);
    expect(result.withheld.map(({ object }) => object)).toEqual([
      "ROLE bob SET session_preload_libraries",
      "ROLE bob SET archive_command",
      "ROLE bob SET unknown",
      "ROLE bob SET role",
    ]);
  });
});
