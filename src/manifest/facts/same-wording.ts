/**
 * The server words an expression from its parsed form, and what it reads back it may parse into one that it words with
 * other casts and parentheses: `(v)::text = ANY ((ARRAY['a'::character varying])::text[])` comes back as
 * `(v)::text = ANY (ARRAY[('a'::character varying)::text])`. Texts that differ in nothing else are one definition.
 * Quoted text counts letter by letter.
 */
export function sameWording(a: string, b: string): boolean {
  return a === b || bare(a) === bare(b);
}

/**
 * Between major versions: since 16 a view of one relation names its columns without it, since 14 a procedure's
 * arguments say IN. What is qualified in one and not in the other counts as the same.
 */
export function sameUnqualified(a: string, b: string): boolean {
  return bare(unqualified(a)) === bare(unqualified(b));
}

const QUALIFIERS =
  /('(?:[^']|'')*')|(?:"(?:[^"]|"")*"|\b[a-z_][a-z0-9_$]*)\.(?=["a-z_*])|\bIN (?=[a-z])/g;

function unqualified(text: string): string {
  return text.replaceAll(QUALIFIERS, (_, quoted: string | undefined) => quoted ?? "");
}

const PIECES =
  /('(?:[^']|'')*'|"(?:[^"]|"")*")|::\s*(?:character varying|double precision|bit varying|timestamp with(?:out)? time zone|time with(?:out)? time zone|[a-z_][a-z0-9_.]*)(?:\(\d+(?:,\d+)?\))?(?:\[\])*|[()\s]+/g;

function bare(text: string): string {
  return text.replaceAll(PIECES, (_, quoted: string | undefined) => quoted ?? "");
}

/** `role RIGHT RIGHT, "other, role" RIGHT` as the facts hold it. */
export function parseEffective(text: string): ReadonlyMap<string, string> {
  const roles = [...text.matchAll(/("(?:[^"]|"")*"|[^", ]+)((?: [A-Z]+)*)(?:, |$)/g)];
  return new Map(roles.map(([, role = "", rights = ""]) => [role, rights.trim()]));
}
