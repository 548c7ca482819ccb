/** Reading a connection string just far enough to see whether it carries a password. */

const URI = /^postgres(?:ql)?:\/\//i;
const KEYWORD = /^\s*[a-z_]+\s*=/i;
const KEYWORD_PASSWORD = /(?:^|\s)(?:password|sslpassword)\s*=/i;
const QUERY_PASSWORD = /[?&](?:password|sslpassword)=/i;

const PASSWORD = "a password in a connection string";

/** What is wrong with writing this connection string where anybody may read it; `undefined` when nothing is. */
export function passwordProblem(text: string): string | undefined {
  if (URI.test(text)) {
    return uriHoldsPassword(text.replace(URI, "")) ? PASSWORD : undefined;
  }
  if (KEYWORD.test(text)) {
    return KEYWORD_PASSWORD.test(text) ? PASSWORD : undefined;
  }
  return "no connection string of PostgreSQL";
}

function uriHoldsPassword(rest: string): boolean {
  if (QUERY_PASSWORD.test(rest)) return true;
  const authority = rest.split(/[/?#]/, 1)[0] ?? "";
  const at = authority.lastIndexOf("@");
  if (at >= 0) return authority.slice(0, at).includes(":");
  // A password with a raw "/" or "?" in it ends the authority early: its start then stands where a port would.
  const port = /:([^,\]]*)$/.exec(authority)?.[1] ?? "";
  return rest.includes("@") && !/^\d*$/.test(port);
}
