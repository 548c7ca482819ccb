import { EXISTS, sameUnqualified } from "../../manifest/index.ts";
import type { FactDifference } from "../../manifest/index.ts";

/** What a newer server brings by itself, and words otherwise: a closed list (docs/spec/versions.md). */

export interface Majors {
  readonly source: number;
  readonly target: number;
}

/** Since 14 each range type has a multirange type, with functions and a cast of the server's making. */
function isMultirange({ kind, identity, attribute, captured }: FactDifference): boolean {
  const kinds = ["type", "function", "cast", "rights on type", "rights on function"];
  const extra = attribute === EXISTS && captured === undefined;
  return extra && kinds.includes(kind) && identity.includes("multirange");
}

/** Since 17 an identity column of a partitioned table is one in its partitions too. */
function isIdentityOfPartition({ kind, attribute, captured }: FactDifference): boolean {
  return kind === "column" && attribute === "identity" && captured === undefined;
}

/** Which words need quotes differs. */
function plainlyNamed(text: string): string {
  return text.replaceAll(/(?<!")"([a-z_][a-z0-9_]*)"(?!")/g, "$1");
}

export function isBroughtByVersion(
  difference: FactDifference,
  { source, target }: Majors,
): boolean {
  if (source < 14 && target >= 14 && isMultirange(difference)) return true;
  return source < 17 && target >= 17 && isIdentityOfPartition(difference);
}

/** Since 17 an owner has MAINTAIN besides; other words for the same definition. */
export function isSameAcrossVersions(
  { kind, attribute, captured, found }: FactDifference,
  { source, target }: Majors,
): boolean {
  if (source === target) return false;
  if (kind.startsWith("rights on ") && attribute.endsWith(" MAINTAIN"))
    return captured === undefined;
  if (captured === undefined || found === undefined) return false;
  if (plainlyNamed(captured) === plainlyNamed(found)) return true;
  return attribute === "definition" && sameUnqualified(captured, found);
}
