/**
 * The server words an expression from its parsed form, and what it reads back it may parse into one that it words with
 * other casts and parentheses: `(v)::text = ANY ((ARRAY['a'::character varying])::text[])` comes back as
 * `(v)::text = ANY (ARRAY[('a'::character varying)::text])`. Texts that differ in nothing else are one definition.
 * Quoted text counts letter by letter.
 */
export function sameWording(a: string, b: string): boolean {
  return a === b || bare(a) === bare(b);
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
