import { supabaseError } from "./errors.ts";

/** Of the published description that paths and answers follow. */
export const DESCRIPTION_VERSION = "1.0.0";

export const MANAGEMENT_API = "https://api.supabase.com";

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** https anywhere, plain http to this machine alone: the token goes there. */
export function managementAddress(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const refuse = (what: string): never => {
    throw supabaseError("invalid_address", { message: `address of the Management API ${what}` });
  };
  if (url === undefined) return refuse("that is no URL");
  if (url.protocol === "http:" && !LOOPBACK.test(url.hostname))
    return refuse("of plain http that is not this machine");
  if (url.protocol !== "https:" && url.protocol !== "http:") return refuse("that is no https URL");
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "")
    return refuse("with a user, a password or a query in it");
  return url;
}
