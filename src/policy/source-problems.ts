import { quoted } from "./issues.ts";
import type { Places } from "./places.ts";
import type { ProviderPolicy, Source } from "./policy.ts";
import type { PolicyProblem } from "./problem.ts";

/** Which keys of a source mean something for its kind: what nothing carries out is no key (P2). */
const OF_SUPABASE = ["project", "management_token", "management_api"] as const;
const PROJECT_REF = /^[a-z]{20}$/;

export function sourceProblems(
  name: string,
  source: Source,
  places: Places,
  under: "sources" | "targets" = "sources",
): readonly PolicyProblem[] {
  const path = [under, name];
  if (source.kind === "postgres") {
    return OF_SUPABASE.filter((key) => source[key] !== undefined).map((key) => ({
      ...places.ofKey([...path, key]),
      message: `${path.join(".")}.${key}, which means nothing for kind: postgres`,
      fix: "Remove it, or write kind: supabase.",
    }));
  }
  const { project } = source;
  if (project === undefined) {
    const message = `${path.join(".")} of kind: supabase without its project`;
    const fix = "Add project: REFERENCE, the twenty letters in the dashboard's address.";
    return [{ ...places.ofValue(path), message, fix }];
  }
  if (!PROJECT_REF.test(project)) {
    const message = `${path.join(".")}.project ${quoted(project)}, which is no project reference`;
    const fix = "Write the twenty small letters in the dashboard's address.";
    return [{ ...places.ofValue([...path, "project"]), message, fix }];
  }
  if (source.management_api === undefined || source.management_token !== undefined) return [];
  const message = `${path.join(".")}.management_api without a token`;
  const fix = "Add management_token, or remove management_api.";
  return [{ ...places.ofKey([...path, "management_api"]), message, fix }];
}

/** Of `provider`: each names a source whose provider can be asked. */
export function providerProblems(
  providers: Readonly<Record<string, ProviderPolicy>>,
  sources: Readonly<Record<string, Source>>,
  places: Places,
): readonly PolicyProblem[] {
  return Object.keys(providers).flatMap((name) => {
    const source = Object.hasOwn(sources, name) ? sources[name] : undefined;
    const at = places.ofKey(["provider", name]);
    if (source === undefined) {
      const names = Object.keys(sources);
      const fix = names.length === 0 ? "Define it first." : `Write one of: ${names.join(", ")}.`;
      return [{ ...at, message: `provider.${name}, which is no source`, fix }];
    }
    if (source.kind === "supabase" && source.management_token !== undefined) return [];
    const message = `provider.${name}, whose provider nobody can ask`;
    return [{ ...at, message, fix: `Give sources.${name} kind: supabase and a management_token.` }];
  });
}
