import { EXISTS } from "../../manifest/index.ts";
import type { FactDifference } from "../../manifest/index.ts";
import type { Withheld } from "../archive/sort.ts";

/**
 * Differences that the plan announced. Matched by kind and whole name: a role, a schema and an extension may share a
 * name, and what is said of one explains nothing about the others.
 */

export interface Announced {
  readonly withheld: readonly Withheld[];
  /** Tables that the point does not even describe, as `schema.name`. */
  readonly undescribed: readonly string[];
  readonly databaseName: string;
  /** Rows of some tables alone: views that were filled stay empty. */
  readonly limited: boolean;
}

const ACTS_BY_ITSELF = ["event trigger", "publication", "user mapping"];
const ROLE_REASONS: Readonly<Record<string, string>> = {
  superuser: "superuser at the source",
  replication: "REPLICATION",
  "bypass row security": "BYPASSRLS",
};

/** Kinds of the archive to kinds of facts. */
const KINDS: Readonly<Record<string, string>> = {
  TRIGGER: "trigger",
  POLICY: "policy",
  RULE: "rule",
  "FK CONSTRAINT": "constraint",
  CONSTRAINT: "constraint",
  INDEX: "index",
  EXTENSION: "extension",
  FUNCTION: "function",
  SERVER: "foreign server",
};

/** What has columns, rights and more of its own, which go with it. */
const RELATIONS = ["FOREIGN TABLE", "MATERIALIZED VIEW", "VIEW", "TABLE", "SEQUENCE"];

export function withheldBy(announced: Announced): (difference: FactDifference) => boolean {
  const said = new Set(announced.withheld.map(({ object }) => object));
  const reasons = Map.groupBy(announced.withheld, ({ object }) => object);
  const objects = new Set(announced.withheld.flatMap(({ object }) => factOf(object)));
  const tables = [
    ...announced.undescribed.map(unquoted),
    ...announced.withheld.flatMap(({ object }) => relationOf(object)),
  ];
  const isOfTable = (name: string): boolean =>
    tables.some(
      (table) => name === table || name.startsWith(`${table} `) || name.startsWith(`${table}.`),
    );
  const hasReason = (role: string, begin: string): boolean =>
    reasons.get(`ROLE ${role}`)?.some(({ reason }) => reason.startsWith(begin)) === true;
  return (difference) => {
    const { kind, identity, attribute, captured, found } = difference;
    const name = unquoted(identity);
    const missing = attribute === EXISTS && found === undefined;
    if (kind === "role")
      return captured === "true" && hasReason(name, ROLE_REASONS[attribute] ?? "\0");
    if (kind === "setting") return settingsOf(difference, announced).every((one) => said.has(one));
    if (kind === "membership") return missing && isAnnouncedMembership(identity, hasReason);
    // Of a publication that is the platform's, the members are left out one by one.
    if (kind === "publication" && attribute === "tables") return true;
    if (kind === "relation" && attribute === "populated") return announced.limited;
    if (attribute === "owned by" && found === undefined) return isOfTable(unquoted(captured ?? ""));
    if (!missing) return false;
    if (kind === "comment") return commentGoes(identity, objects, isOfTable);
    if (ACTS_BY_ITSELF.includes(kind) || objects.has(`${kind} ${name}`)) return true;
    if (objects.has(`${kind.replace(/^rights on /, "")} ${name}`)) return true;
    return IN_TABLES.has(kind) && (isOfTable(name) || isOfTable(tableOf(difference)));
  };
}

const IN_TABLES = new Set(
  "relation column constraint index trigger rule policy sequence"
    .split(" ")
    .concat(["table", "column", "sequence"].map((of) => `rights on ${of}`)),
);

function factOf(object: string): readonly string[] {
  const kind = Object.keys(KINDS).find((one) => object.startsWith(`${one} `));
  return kind === undefined ? [] : [`${KINDS[kind] ?? ""} ${object.slice(kind.length + 1)}`];
}

function relationOf(object: string): readonly string[] {
  const kind = RELATIONS.find((one) => object.startsWith(`${one} `));
  return kind === undefined ? [] : [object.slice(kind.length + 1)];
}

/** `"a.b" c` as the archive names it: without quotes. */
export function unquoted(identity: string): string {
  return identity.replaceAll(/"((?:[^"]|"")*)"/g, (_, name: string) => name.replaceAll('""', '"'));
}

/** What is said of something that was left out goes with it: `trigger t on s.x` is `s.x t` in the archive. */
function commentGoes(
  identity: string,
  objects: ReadonlySet<string>,
  isOfTable: (name: string) => boolean,
): boolean {
  if (ACTS_BY_ITSELF.some((kind) => identity.startsWith(`${kind} `))) return true;
  const [, kind = "", below = "", above = ""] =
    /^(table constraint|trigger|policy|rule) (.+) on (.+)$/.exec(identity) ?? [];
  if (kind !== "") {
    const name = unquoted(`${above} ${below}`);
    return objects.has(`${kind.replace("table ", "")} ${name}`) || isOfTable(name);
  }
  const [, of = "", name = ""] = /^(extension|function|index|server) (.+)$/.exec(identity) ?? [];
  const fact = of === "server" ? "foreign server" : of;
  if (objects.has(`${fact} ${unquoted(name)}`)) return true;
  const [, table = ""] =
    /^(?:(?:foreign )?table|(?:materialized )?view|sequence)(?: column)? (.+)$/.exec(identity) ??
    [];
  return isOfTable(unquoted(table));
}

const MEMBERSHIP = /^("(?:[^"]|"")*"|[^" ]+) in (.*)$/;

/** Member and group. */
export function membersOf(membership: string): readonly string[] {
  return (MEMBERSHIP.exec(membership) ?? []).slice(1).map(unquoted);
}

function isAnnouncedMembership(
  identity: string,
  hasReason: (role: string, begin: string) => boolean,
): boolean {
  const [member, group] = membersOf(identity);
  if (member === undefined || group === undefined) return false;
  return hasReason(member, `membership in ${group},`);
}

/** As the plan names them; of a role without any setting left, all that it had. */
function settingsOf(
  { identity, attribute, capturedObject }: FactDifference,
  { databaseName }: Announced,
): readonly string[] {
  const names = attribute === EXISTS ? [...(capturedObject?.facts.keys() ?? [])] : [attribute];
  const of = identity.startsWith("role ")
    ? `ROLE ${unquoted(identity.slice("role ".length))}`
    : `DATABASE ${databaseName}`;
  const settings = names.map((name) => `${of} SET ${name.replace(/^here: /, "").toLowerCase()}`);
  return settings.length === 0 ? ["nothing"] : settings;
}

/** An index and an owned sequence have names of their own. */
function tableOf({ kind, capturedObject }: FactDifference): string {
  const { facts } = capturedObject ?? {};
  return unquoted((kind === "index" ? facts?.get("table") : facts?.get("owned by")) ?? "");
}
