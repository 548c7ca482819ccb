/** A project's configuration then and now. Pure. */
export interface ProjectState {
  /** By name, as JSON. */
  readonly documents: ReadonlyMap<string, unknown>;
  /** SHA-256 by `SLUG/PATH as deployed`. */
  readonly files: ReadonlyMap<string, string>;
}

export interface ProjectChange {
  readonly change: "added" | "removed" | "changed";
  readonly document: string;
  /** Inside the document, `.smtp_host`; empty where all of it came or went. */
  readonly path: string;
  readonly before?: unknown;
  readonly after?: unknown;
}

/** `passOver` names documents that could not be read now: of them nothing is said. */
export function compareProject(
  before: ProjectState,
  after: ProjectState,
  passOver: (document: string) => boolean = () => false,
): readonly ProjectChange[] {
  const changes: ProjectChange[] = [];
  for (const name of unionOf(before.documents, after.documents)) {
    if (passOver(name)) continue;
    compare(name, "", before.documents.get(name), after.documents.get(name), changes);
  }
  for (const name of unionOf(before.files, after.files)) {
    const document = `function ${name.split("/")[0] ?? ""}`;
    if (passOver(document)) continue;
    const [then, now] = [before.files.get(name), after.files.get(name)];
    if (then === now) continue;
    const path = name.slice(name.indexOf("/") + 1);
    const change = then === undefined ? "added" : now === undefined ? "removed" : "changed";
    changes.push({ change, document, path });
  }
  return changes;
}

function unionOf(
  a: ReadonlyMap<string, unknown>,
  b: ReadonlyMap<string, unknown>,
): readonly string[] {
  return [...new Set([...a.keys(), ...b.keys()])].toSorted();
}

function compare(
  document: string,
  path: string,
  before: unknown,
  after: unknown,
  changes: ProjectChange[],
): void {
  if (before === undefined || after === undefined) {
    if (before === after) return;
    const change = before === undefined ? "added" : "removed";
    const values = path === "" ? {} : { ...given("before", before), ...given("after", after) };
    changes.push({ change, document, path, ...values });
    return;
  }
  if (isFields(before) && isFields(after) && !isSealed(before) && !isSealed(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    for (const key of [...keys].toSorted())
      compare(document, `${path}.${key}`, before[key], after[key], changes);
    return;
  }
  if (Array.isArray(before) && Array.isArray(after)) {
    for (let i = 0; i < Math.max(before.length, after.length); i += 1)
      compare(document, `${path}[${i}]`, before[i], after[i], changes);
    return;
  }
  if (sameText(before, after)) return;
  changes.push({ change: "changed", document, path, before, after });
}

function sameText(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function given(key: "before" | "after", value: unknown): { before?: unknown; after?: unknown } {
  return value === undefined ? {} : { [key]: value };
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A secret's digest: the same or another, and nothing more. */
export function isSealed(value: unknown): boolean {
  return isFields(value) && Object.keys(value).length === 1 && typeof value["sealed"] === "string";
}
