import { createHash } from "node:crypto";
import type { ArchiveToc, TocEntry } from "../../restore/index.ts";

/**
 * A schema as files for reviewers: one a table or view, one a kind of everything else. Made from the entries of the
 * archive's table of contents, never by searching text; ids, times and versions of the dump are left out, and the order is one
 * of names, so that a file differs where the schema does.
 */
export function schemaFiles({ entries }: Pick<ArchiveToc, "entries">): ReadonlyMap<string, string> {
  const homes = new Homes(entries);
  const grouped = Map.groupBy(
    entries.filter(({ kind, definition }) => !NO_OBJECTS.has(kind) && definition.trim() !== ""),
    (entry) => fileOf(homes.of(entry)),
  );
  const files = [...grouped].map(([path, members]): [string, string] => {
    const sorted = members.toSorted((a, b) =>
      compare(keyOf(a, homes.of(a)), keyOf(b, homes.of(b))),
    );
    return [path, `${sorted.map(textOf).join("\n\n")}\n`];
  });
  return new Map(files.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** Settings of the dump itself, and the database, whose name and locale are its server's and no migration's. */
const NO_OBJECTS = new Set(["ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE"]);

/** Kinds with a file for each object. */
const FOLDERS: ReadonlyMap<string, string> = new Map([
  ["TABLE", "tables"],
  ["FOREIGN TABLE", "tables"],
  ["VIEW", "views"],
  ["MATERIALIZED VIEW", "views"],
]);

/** What belongs to a relation and stands in its file, in this order. */
const PARTS = [
  "TABLE ATTACH",
  "DEFAULT",
  "CONSTRAINT",
  "CHECK CONSTRAINT",
  "INDEX",
  "INDEX ATTACH",
  "FK CONSTRAINT",
  "STATISTICS",
  "RULE",
  "TRIGGER",
  "ROW SECURITY",
  "POLICY",
];
/** What is said of an object and stands behind it, whatever it is. */
const SAID = ["COMMENT", "SECURITY LABEL", "ACL"];

/** Where an entry belongs: a part to its relation, what is said of an object to that object's home, else itself. */
class Homes {
  readonly #byId: ReadonlyMap<number, TocEntry>;

  constructor(entries: readonly TocEntry[]) {
    this.#byId = new Map(entries.map((entry) => [entry.dumpId, entry]));
  }

  of(entry: TocEntry, depth = 0): TocEntry {
    // An index that is attached belongs to one that belongs to a table: more steps than these there are none.
    if (depth > 3) return entry;
    const needs = entry.dependencies.flatMap((id) => this.#byId.get(id) ?? []);
    if (SAID.includes(entry.kind)) {
      const [object] = needs;
      return object === undefined ? entry : this.of(object, depth + 1);
    }
    if (!PARTS.includes(entry.kind)) return entry;
    const homes = needs.map((each) => this.of(each, depth + 1)).filter(isRelation);
    const named = homes.filter((relation) => isNamedIn(entry, relation));
    return named.toSorted(longestFirst)[0] ?? homes[0] ?? entry;
  }
}

function isRelation({ kind }: TocEntry): boolean {
  return FOLDERS.has(kind);
}

/** pg_dump calls a part `TABLE part`, where its own name is not enough. */
function isNamedIn(part: TocEntry, { schema, tag }: TocEntry): boolean {
  return part.schema === schema && (part.tag === tag || part.tag.startsWith(`${tag} `));
}

/** `a b key` is more likely of table `a b` than of `a`. */
function longestFirst(a: TocEntry, b: TocEntry): number {
  return b.tag.length - a.tag.length || (a.tag < b.tag ? -1 : 1);
}

function fileOf({ kind, schema, tag }: TocEntry): string {
  const folder = FOLDERS.get(kind);
  if (folder === undefined) return `${plainName(kind.toLowerCase().replaceAll(" ", "_"))}.sql`;
  return `${folder}/${plainName(schema ?? "")}.${plainName(tag)}.sql`;
}

const LONGEST = 100;

/**
 * Letters, digits and underscores of the name, the rest as `%XX`: no name leaves its folder, and two names never meet, not
 * even where capitals do not count.
 */
function plainName(name: string): string {
  const plain = [...Buffer.from(name)]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[a-z0-9_]/.test(character) ? character : `%${byte.toString(16).padStart(2, "0")}`;
    })
    .join("");
  if (plain.length <= LONGEST) return plain;
  const hash = createHash("sha256").update(name).digest("hex").slice(0, 16);
  return `${plain.slice(0, LONGEST)}-${hash}`;
}

function keyOf(entry: TocEntry, home: TocEntry): readonly string[] {
  const rank = entry === home ? 0 : 1 + [...PARTS, ...SAID].indexOf(entry.kind);
  return [
    home.schema ?? "",
    home.tag,
    home.kind,
    String(rank).padStart(3, "0"),
    entry.tag,
    entry.definition,
  ];
}

function compare(a: readonly string[], b: readonly string[]): number {
  for (const [i, text] of a.entries()) {
    const other = b[i] ?? "";
    if (text !== other) return text < other ? -1 : 1;
  }
  return 0;
}

function textOf({ kind, schema, tag, owner, definition }: TocEntry): string {
  // What is said of an object stands behind it, and its tag begins with the object's kind.
  const name = schema === undefined || SAID.includes(kind) ? tag : `${schema}.${tag}`;
  const owned = owner === "" ? "" : `; owner ${owner}`;
  return `-- ${oneLine(`${kind} ${name}${owned}`)}\n${definition.trim()}`;
}

/** A name must not end the comment that it stands in. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\x${code.toString(16).padStart(2, "0")}`;
  });
}
