import { EXISTS, parseEffective, sameWording } from "../../manifest/index.ts";
import type { FactDifference, Platform } from "../../manifest/index.ts";
import { EFFECTIVE } from "../../postgres/index.ts";
import type { Withheld } from "../archive/sort.ts";
import { isBroughtByVersion, isSameAcrossVersions } from "./by-version.ts";
import type { Majors } from "./by-version.ts";

/**
 * Whose a difference is (docs/spec/catalog.md). Closed rules, in this order; whatever none of them names is ours:
 *
 *   withheld     left out or switched off on purpose, and said so in the plan
 *   platform     the target server's own: its roles, schemas, extensions' versions, its login's database
 *   equivalent   nobody can tell: the same rights in the end, the same definition in other words
 *   ours         the restore should have made it and did not
 */
export type DifferenceClass = "ours" | "platform" | "equivalent" | "withheld";

export interface ClassifyContext {
  readonly withheld: readonly Withheld[];
  /** Platforms of the source and of the target. */
  readonly platforms: readonly Platform[];
  /** Roles that the target had before. */
  readonly keptRoles: ReadonlySet<string>;
  readonly sourceRoles: ReadonlySet<string>;
  /** Only a superuser, or a member of the source's owner, can give the database away. */
  readonly givesDatabase: boolean;
  readonly majors: Majors;
  /** Rows of some tables alone: views that were filled stay empty. */
  readonly limited: boolean;
  /** Of such a point, the tables that are not even described, as `schema.name`. */
  readonly undescribed: readonly string[];
}

export type Classify = (difference: FactDifference) => DifferenceClass;

const ACTS_BY_ITSELF = ["event trigger", "publication", "user mapping"];
const WORDED = new Set(["definition", "default", "check", "using", "partition bound"]);

export function classifier(context: ClassifyContext): Classify {
  const left = new Set([
    ...context.withheld.map(({ object }) => object.replace(/^[A-Z][A-Z ]* /, "")),
    ...context.undescribed.map(unquoted),
  ]);
  return (difference) => {
    if (isWithheld(difference, left, context)) return "withheld";
    if (isPlatform(difference, context)) return "platform";
    if (isEquivalent(difference, context)) return "equivalent";
    return "ours";
  };
}

/** `"a.b" c` as the archive names it: without quotes. */
function unquoted(identity: string): string {
  return identity.replaceAll(/"((?:[^"]|"")*)"/g, (_, name: string) => name.replaceAll('""', '"'));
}

function isWithheld(
  difference: FactDifference,
  left: ReadonlySet<string>,
  context: ClassifyContext,
): boolean {
  const { kind, identity, attribute, captured, found } = difference;
  const missing = attribute === EXISTS && found === undefined;
  if (missing && ACTS_BY_ITSELF.includes(kind)) return true;
  // Of a publication that is the platform's, the members are left out one by one.
  if (kind === "publication" && attribute === "tables") return true;
  if (kind === "comment" && missing) return commentGoes(identity, left);
  if (kind === "role" && ["superuser", "replication", "bypass row security"].includes(attribute))
    return captured === "true" && found === "false" && left.has(unquoted(identity));
  if (kind === "membership" && missing) return left.has(unquoted(memberOf(identity)));
  if (kind === "setting") return left.has(settingName(identity, attribute));
  if (kind === "relation" && attribute === "populated" && context.limited) return true;
  if (attribute === "owned by" && found === undefined) return goes(tableOf(difference), left);
  return missing && (goes(unquoted(identity), left) || goes(tableOf(difference), left));
}

/** Itself, or what hangs on it: `schema.table column`, `schema.table.column` of a sequence's owner. */
function goes(name: string, left: ReadonlySet<string>): boolean {
  return (
    left.has(name) ||
    [...left].some((one) => /^[ .]/.test(name.slice(one.length)) && name.startsWith(one))
  );
}

/** An index and an owned sequence have names of their own. */
function tableOf({ kind, capturedObject }: FactDifference): string {
  const { facts } = capturedObject ?? {};
  return unquoted((kind === "index" ? facts?.get("table") : facts?.get("owned by")) ?? "");
}

/** What is said of something that was left out goes with it: `trigger t on s.x` is `s.x t` in the archive. */
function commentGoes(identity: string, left: ReadonlySet<string>): boolean {
  if (ACTS_BY_ITSELF.some((kind) => identity.startsWith(`${kind} `))) return true;
  const [, below, above] =
    /^(?:table constraint|trigger|policy|rule) (.+) on (.+)$/.exec(identity) ?? [];
  const name = above === undefined ? identity.replace(/^[a-z][a-z -]* /, "") : `${above} ${below}`;
  return goes(unquoted(name), left);
}

function memberOf(membership: string): string {
  return /^("(?:[^"]|"")*"|[^" ]+) in /.exec(membership)?.[1] ?? "";
}

/** `ROLE a SET b` without its first word. */
function settingName(identity: string, attribute: string): string {
  const setting = attribute.replace(/^here: /, "");
  return `${unquoted(identity.replace(/^role /, ""))} SET ${setting}`;
}

function isPlatform(difference: FactDifference, context: ClassifyContext): boolean {
  const { kind, schema, identity, attribute, captured } = difference;
  const { platforms, keptRoles, sourceRoles, givesDatabase } = context;
  if (platforms.some((platform) => platform.isSchema(schema))) return true;
  if (isBroughtByVersion(difference, context.majors)) return true;
  const isTargets = (role: string): boolean =>
    keptRoles.has(role) || platforms.some((platform) => platform.isRole(role));
  const extra = attribute === EXISTS && captured === undefined;
  if (kind === "role")
    return isTargets(unquoted(identity)) || (extra && !sourceRoles.has(unquoted(identity)));
  if (kind === "membership") {
    const roles = membersOf(identity);
    return roles.some((role) => isTargets(role) || (extra && !sourceRoles.has(role)));
  }
  if (kind === "setting" && identity.startsWith("role ")) {
    const role = unquoted(identity.slice("role ".length));
    return isTargets(role) || (extra && !sourceRoles.has(role));
  }
  if (kind === "database" && attribute === "owner") return !givesDatabase;
  if (kind === "rights on database") return !givesDatabase;
  if (kind === "extension") return attribute === "version" || (extra && platforms.length > 0);
  if (kind === "default privileges") {
    const role = /^of ("(?:[^"]|"")*"|[^" ]+) in /.exec(identity)?.[1] ?? "";
    return isTargets(unquoted(role)) || (extra && !sourceRoles.has(unquoted(role)));
  }
  return extra && schema === "" && platforms.length > 0 && kind !== "comment";
}

function membersOf(membership: string): readonly string[] {
  const found = /^("(?:[^"]|"")*"|[^" ]+) in (.*)$/.exec(membership);
  return found === null ? [] : found.slice(1).map(unquoted);
}

function isEquivalent(difference: FactDifference, context: ClassifyContext): boolean {
  const { kind, attribute, captured, found, capturedObject, foundObject } = difference;
  if (isSameAcrossVersions(difference, context.majors)) return true;
  if (kind.startsWith("rights on ")) {
    return sameRights(capturedObject?.facts.get(EFFECTIVE), foundObject?.facts.get(EFFECTIVE));
  }
  if (captured === undefined || found === undefined || !WORDED.has(attribute)) return false;
  return sameWording(captured, found);
}

/** Of the roles that both ends have; a right that only a role of one end has cannot be compared. */
function sameRights(captured: string | undefined, found: string | undefined): boolean {
  if (captured === undefined || found === undefined) return false;
  const there = parseEffective(found);
  const common = [...parseEffective(captured)].filter(([role]) => there.has(role));
  return common.length > 0 && common.every(([role, rights]) => there.get(role) === rights);
}
