import type { Named, Source } from "../policy/index.ts";
import { resolveSecret } from "../secrets/index.ts";
import { createManagementApi } from "../supabase/index.ts";
import type { ManagementApi } from "../supabase/index.ts";
import type { OperationContext } from "./context.ts";
import { operationError } from "./errors.ts";

/** The Management API for a source's project, with the token that the policy names. Nothing is asked yet. */
export async function managementOf(
  context: OperationContext,
  source: Named<Source>,
  what = "source",
): Promise<ManagementApi> {
  const { project, management_token: reference, management_api: address } = source;
  if (project === undefined || reference === undefined) {
    throw operationError("no_management_token", {
      message: `${what} ${source.name} without a token of the Management API`,
      subject: { [what]: source.name },
    });
  }
  const { clock, random, signal, version, log } = context;
  return createManagementApi(project, {
    token: await resolveSecret(reference, context.env),
    address,
    clock,
    random,
    signal,
    version,
    onRetry: (error) => {
      log.warn({ code: error.code, subject: error.subject }, "the Management API is asked again");
      context.onStoreRetry?.(error);
    },
  });
}
