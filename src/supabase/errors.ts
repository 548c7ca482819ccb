import { errorTable } from "../kernel/index.ts";

export const supabaseError = errorTable("supabase", {
  invalid_address: {
    kind: "config",
    meaning: "The address of the Management API is no https URL, or carries more than an address.",
    hint: "Write https://HOST, or leave `management_api` out for https://api.supabase.com.",
  },
  token_refused: {
    kind: "auth",
    meaning:
      "The Management API does not know the access token: it is mistyped, expired or revoked.",
    hint: "Make a new access token at supabase.com/dashboard/account/tokens and store it where `management_token` points.",
  },
  not_permitted: {
    kind: "auth",
    meaning: "The access token is known, and its owner or its scopes do not allow this request.",
    hint: "Give the token the permission that the message names, or use one of an owner of the organization.",
  },
  plan_lacks_it: {
    kind: "incompatible",
    meaning: "The plan of the organization does not include what was asked for.",
    hint: "Look at the plan and its add-ons in the dashboard.",
  },
  not_found: {
    kind: "not-found",
    meaning: "The Management API knows no such project, or not for this token.",
    hint: "Compare `project` with the reference in the dashboard's address.",
  },
  request_refused: {
    kind: "incompatible",
    meaning: "The Management API refused the request as it stands.",
    hint: "Look at the project in the dashboard; if it is well, report this with the status.",
  },
  unavailable: {
    kind: "unavailable",
    meaning:
      "The Management API did not answer, answered with an error of its own, or asked to wait.",
    hint: "Look at status.supabase.com and try again.",
  },
  untrusted: {
    kind: "config",
    meaning: "The server at the address of the Management API has no certificate that is trusted.",
    hint: "Check the address, the clock, and what stands between here and there.",
  },
  answer_invalid: {
    kind: "incompatible",
    meaning:
      "The Management API answered something that this version does not understand; nothing was guessed.",
    hint: "Update Sparekeep; if it is the newest, report this with the message.",
  },
  answer_too_large: {
    kind: "incompatible",
    meaning: "An answer of the Management API is larger than anything that it describes.",
    hint: "Check the address of the Management API.",
  },
});
