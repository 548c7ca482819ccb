import { MIB } from "../kernel/index.ts";
import type { Secret } from "../kernel/index.ts";
import type { ApiAnswer, ApiRequest } from "./send.ts";
import type { SourceFile } from "./types.ts";

/**
 * What changes a project. Each request goes once, and again only after 429, which says that it was not taken. Answers are
 * not believed: whoever writes reads back.
 */
export interface ProjectWrites {
  change(change: ConfigChange): Promise<void>;
  /** Makes the function or replaces it. */
  deployFunction(deployment: FunctionDeployment): Promise<void>;
  /** Adds secrets of the Edge Functions or replaces them; others stay. */
  setEdgeSecrets(secrets: readonly NamedSecret[]): Promise<void>;
}

export interface ConfigChange {
  /** For errors: `auth`. */
  readonly what: string;
  readonly method: "PATCH" | "PUT" | "POST";
  /** Below `/v1/projects/{ref}`. */
  readonly path: string;
  readonly permission: string;
  /** May hold secrets: it is sent, and never shown. */
  readonly body: unknown;
}

export interface FunctionDeployment {
  readonly slug: string;
  readonly name: string;
  /** Of one of the files. */
  readonly entrypointPath: string;
  readonly importMapPath?: string;
  readonly verifyJwt?: boolean;
  readonly files: readonly SourceFile[];
}

export interface NamedSecret {
  readonly name: string;
  readonly value: Secret;
}

const MAX_ANSWER_BYTES = 8 * MIB;

export function createWrites(
  ask: (request: ApiRequest) => Promise<ApiAnswer>,
  below: (path: string) => string,
): ProjectWrites {
  const write = async (
    request: Pick<ApiRequest, "method" | "path" | "what" | "permission" | "body" | "form">,
  ): Promise<void> => {
    await ask({ ...request, accept: "application/json", maxBytes: MAX_ANSWER_BYTES });
  };
  return {
    change: ({ what, path, ...request }) =>
      write({ ...request, what: `change of ${what}`, path: below(path) }),
    deployFunction: ({ slug, files, name, entrypointPath, importMapPath, verifyJwt }) => {
      const form = new FormData();
      const metadata = {
        name,
        entrypoint_path: entrypointPath,
        ...(importMapPath === undefined ? {} : { import_map_path: importMapPath }),
        ...(verifyJwt === undefined ? {} : { verify_jwt: verifyJwt }),
      };
      form.append("metadata", JSON.stringify(metadata));
      for (const { path, bytes } of files) form.append("file", new Blob([bytes]), path);
      return write({
        method: "POST",
        what: `deployment of function ${slug}`,
        path: below(`/functions/deploy?slug=${encodeURIComponent(slug)}`),
        permission: "edge_functions_write",
        form,
      });
    },
    setEdgeSecrets: (secrets) =>
      write({
        method: "POST",
        what: "secrets of the Edge Functions",
        path: below("/secrets"),
        permission: "edge_functions_secrets_write",
        body: secrets.map(({ name, value }) => ({ name, value: value.reveal() })),
      }),
  };
}
