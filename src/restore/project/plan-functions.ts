import { isFields } from "./services.ts";
import type { PlannedRequest, PlannedSetting, ProjectSide } from "./types.ts";

/** Edge Functions, one request each: deployed again from their sources where these, or how they run, differ. */

export interface FunctionShape {
  readonly slug: string;
  readonly name: string;
  readonly verifyJwt: boolean | null;
  /** Among its files, as deployed; `undefined` where none of them is it. */
  readonly entrypoint: string | undefined;
  readonly importMap: string | null | undefined;
  readonly files: ReadonlyMap<string, string>;
}

/** As the API demands it of a new function. */
const SLUG = /^[A-Za-z][A-Za-z0-9_-]*$/;
/** What a form could not carry as it is. */
const UNSENDABLE = /[\p{Cc}"\\]/u;

export function functionsOf(side: ProjectSide): ReadonlyMap<string, FunctionShape> {
  const listed = side.documents.get("functions");
  const shapes = new Map<string, FunctionShape>();
  for (const one of Array.isArray(listed) ? listed : []) {
    if (!isFields(one) || typeof one["slug"] !== "string" || one["status"] === "REMOVED") continue;
    const { slug, name, verifyJwt, entrypointPath, importMapPath } = one;
    const files = side.functions.get(slug) ?? new Map<string, string>();
    shapes.set(slug, {
      slug,
      name: typeof name === "string" ? name : slug,
      verifyJwt: typeof verifyJwt === "boolean" ? verifyJwt : null,
      entrypoint: typeof entrypointPath === "string" ? fileAt(entrypointPath, files) : undefined,
      importMap: typeof importMapPath === "string" ? fileAt(importMapPath, files) : null,
      files,
    });
  }
  return shapes;
}

/** The platform keeps a file's address on its builder, `file:///tmp/…/source/index.ts`: the file is the one that it ends with. */
function fileAt(address: string, files: ReadonlyMap<string, string>): string | undefined {
  const ends = [...files.keys()].filter((path) => {
    const plain = path.replace(/^(?:file:\/\/|\.{0,2}\/)+/, "");
    return address === path || address === plain || address.endsWith(`/${plain}`);
  });
  return ends.toSorted((a, b) => b.length - a.length)[0];
}

export interface FunctionsPlan {
  readonly same: number;
  readonly settings: readonly PlannedSetting[];
  readonly requests: readonly PlannedRequest[];
}

export function planFunctions(stored: ProjectSide, live: ProjectSide): FunctionsPlan {
  const [before, now] = [functionsOf(stored), functionsOf(live)];
  const settings: PlannedSetting[] = [];
  const requests: PlannedRequest[] = [];
  let same = 0;
  for (const slug of [...new Set([...before.keys(), ...now.keys()])].toSorted()) {
    const [wanted, found] = [before.get(slug), now.get(slug)];
    const sides = { service: "functions", setting: slug, ...sidesOf(found, wanted) };
    const unread = found !== undefined && !live.functions.has(slug);
    const reason = wanted === undefined ? LEFTOVER : unread ? UNREAD : refusalOf(wanted);
    if (wanted !== undefined && found !== undefined && !unread && isSame(wanted, found)) same += 1;
    else if (reason !== undefined) settings.push({ ...sides, sign: "!", reason });
    else {
      settings.push({ ...sides, sign: found === undefined ? "+" : "*" });
      requests.push({
        service: "functions",
        method: "POST",
        path: "/functions/deploy",
        permission: "edge_functions_write",
        settings: [slug],
      });
    }
  }
  return { same, settings, requests };
}

const LEFTOVER = "it is not in the snapshot; nothing here removes it";
const UNREAD = "its sources cannot be read now: nothing is written blind";

function refusalOf({ slug, entrypoint, importMap, files }: FunctionShape): string | undefined {
  if (!SLUG.test(slug)) return "the API deploys no function of this name";
  if (files.size === 0) return "the snapshot does not hold its sources";
  if (entrypoint === undefined || importMap === undefined)
    return "none of its files is where it begins, or its import map";
  const strange = [...files.keys()].some((path) => UNSENDABLE.test(path));
  return strange ? "a path of its files cannot be sent as it is" : undefined;
}

function isSame(a: FunctionShape, b: FunctionShape): boolean {
  return (
    a.name === b.name &&
    a.verifyJwt === b.verifyJwt &&
    a.entrypoint === b.entrypoint &&
    a.importMap === b.importMap &&
    a.files.size === b.files.size &&
    [...a.files].every(([path, sha256]) => b.files.get(path) === sha256)
  );
}

function sidesOf(
  from: FunctionShape | undefined,
  to: FunctionShape | undefined,
): { readonly from?: unknown; readonly to?: unknown } {
  return {
    ...(from === undefined ? {} : { from: shown(from) }),
    ...(to === undefined ? {} : { to: shown(to) }),
  };
}

/** Enough to see what differs; the sources themselves are `project diff`'s. */
function shown({ name, verifyJwt, entrypoint, files }: FunctionShape): unknown {
  const digest = [...files.values()].map((sha256) => sha256.slice(0, 8)).toSorted();
  return { name, verifyJwt, entrypoint: entrypoint ?? null, files: digest };
}
