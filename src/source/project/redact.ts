import type { Seal } from "./seal.ts";

/**
 * What of an answer may be kept. Only a text can be a secret. Which text is one:
 *
 * - in any document, one whose key looks like it, a private member of a JSON Web Key, and a URL with a password in it
 * - in the settings of auth, also every text whose key this version does not know: a new kind of provider brings a secret
 *   of its own, and what cannot be judged is not kept in clear
 */
export interface Redacted {
  readonly value: Json;
  /** Keys of what was sealed, `smtp_pass`, in their order. */
  readonly sealed: readonly SealedKey[];
}

export interface SealedKey {
  /** From the root, `.`-separated. */
  readonly key: string;
  readonly why: "secret" | "unknown";
}

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };

const LOOKS_SECRET =
  /(?:^|_)(?:secrets?|pass|passwd|password|tokens?|credentials?|key|keys|apikey|otp)$|secret|private|jwt_?key/i;
const JWK_PRIVATE = new Set(["d", "p", "q", "dp", "dq", "qi", "oth", "k"]);
const URL_WITH_PASSWORD = /^[a-z][a-z0-9+.-]*:\/\/[^/?#\s]*:[^/?#\s]*@/i;

/** Texts of auth that are none, by their keys. */
const AUTH_PUBLIC = [
  /^external_[a-z0-9_]+_(?:client_id|additional_client_ids|url)$/,
  /^hook_[a-z0-9_]+_uri$/,
  /^mailer_subjects_[a-z0-9_]+$/,
  /^mailer_templates_[a-z0-9_]+_content$/,
  /^(?:site_url|uri_allow_list|saml_external_url|oauth_server_authorization_path)$/,
  /^webauthn_rp_(?:display_name|id|origins)$/,
  /^smtp_(?:admin_email|host|port|sender_name|user)$/,
  /^sms_(?:provider|template|test_otp_valid_until|messagebird_originator|textlocal_sender|vonage_from)$/,
  /^sms_twilio_(?:verify_)?(?:account_sid|message_service_sid)$/,
  /^sms_twilio_content_sid$/,
  /^(?:mfa_phone_template|nimbus_oauth_client_id|db_max_pool_size_unit|sessions_tags)$/,
  /^(?:password_required_characters|security_captcha_provider)$/,
];
const MAX_DEPTH = 32;

export function redactDocument(document: string, value: unknown, seal: Seal): Redacted {
  const sealed: SealedKey[] = [];
  const walk = (item: unknown, path: readonly string[], inKey: boolean): Json => {
    if (path.length > MAX_DEPTH) throw new RangeError("a document too deep to be one");
    if (item === null || typeof item === "boolean" || typeof item === "number") return item;
    if (typeof item === "string") {
      const why = item === "" ? undefined : secrecyOf(document, path, item, inKey);
      if (why === undefined) return item;
      const key = path.join(".");
      sealed.push({ key, why });
      return { ...seal(`${document}.${key}`, item) };
    }
    if (Array.isArray(item))
      return item.map((one: unknown, i) => walk(one, [...path, String(i)], inKey));
    if (typeof item !== "object") throw new RangeError("no JSON");
    const entries = Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1));
    const isKey = "kty" in item;
    return Object.fromEntries(
      entries.map(([key, one]) => [key, walk(one, [...path, key], isKey && JWK_PRIVATE.has(key))]),
    );
  };
  return { value: walk(value, [], false), sealed };
}

function secrecyOf(
  document: string,
  path: readonly string[],
  text: string,
  inPrivateKey: boolean,
): SealedKey["why"] | undefined {
  if (inPrivateKey || URL_WITH_PASSWORD.test(text)) return "secret";
  const key = path.findLast((step) => !/^\d+$/.test(step)) ?? "";
  if (document === "auth") {
    if (AUTH_PUBLIC.some((form) => form.test(key))) return undefined;
    return LOOKS_SECRET.test(key) || /_access_key$|_auth_token$|_test_otp$/.test(key)
      ? "secret"
      : "unknown";
  }
  return LOOKS_SECRET.test(key) ? "secret" : undefined;
}

/** One form for one content: keys sorted, two spaces, a newline at the end. */
export function formatDocument(value: Json): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
