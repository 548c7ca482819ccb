import { EXISTS, parseEffective, sameWording } from "../../manifest/index.ts";
import type { FactDifference, Platform } from "../../manifest/index.ts";
import { EFFECTIVE } from "../../postgres/index.ts";
import { isBroughtByVersion, isSameAcrossVersions } from "./by-version.ts";
import type { Majors } from "./by-version.ts";
import { membersOf, unquoted, withheldBy } from "./withheld.ts";
import type { Announced } from "./withheld.ts";

/**
 * Whose a difference is (docs/spec/catalog.md). Closed rules, in this order; whatever none of them names is ours:
 *
 *   withheld     left out or switched off on purpose, and said so in the plan
 *   platform     the target server's own: its roles, schemas, extensions' versions, its login's database
 *   equivalent   nobody can tell: the same rights in the end, the same definition in other words
 *   ours         the restore should have made it and did not
 */
export type DifferenceClass = "ours" | "platform" | "equivalent" | "withheld";

export interface ClassifyContext extends Announced {
  /** Of the target; on a server of one's own nothing is a platform's. */
  readonly platforms: readonly Platform[];
  /** Roles that the target had before. */
  readonly keptRoles: ReadonlySet<string>;
  readonly sourceRoles: ReadonlySet<string>;
  /** Only a superuser, or a member of the source's owner, can give the database away. */
  readonly givesDatabase: boolean;
  readonly majors: Majors;
}

export type Classify = (difference: FactDifference) => DifferenceClass;

const WORDED = new Set(["definition", "default", "check", "using", "partition bound"]);

export function classifier(context: ClassifyContext): Classify {
  const isWithheld = withheldBy(context);
  return (difference) => {
    if (isWithheld(difference)) return "withheld";
    if (isPlatform(difference, context)) return "platform";
    if (isEquivalent(difference, context)) return "equivalent";
    return "ours";
  };
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
