import { z } from "zod";

/**
 * What a snapshot holds of a Supabase project's configuration: documents, sources of Edge Functions, and by name what the
 * API did not give. Under `project` of the manifest; absent where nothing of it was read. docs/spec/project.md
 */
export interface ProjectManifest {
  readonly ref: string;
  readonly readAt: string;
  /** Version of the published description that it was read by. */
  readonly api: string;
  readonly documents: readonly ProjectFile[];
  readonly functions: readonly {
    readonly slug: string;
    /** `name` is the path as deployed, `path` where it lies in the snapshot. */
    readonly files: readonly ProjectFile[];
  }[];
  /** Documents that do not exist for this project, by the API's own answer. */
  readonly absent: readonly { readonly name: string; readonly reason: string }[];
  /** What no API gives back. `place`: where the policy says that it is kept. */
  readonly notGiven: readonly {
    readonly name: string;
    readonly what: string;
    readonly place?: string;
  }[];
}

export interface ProjectFile {
  readonly name: string;
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

const text = z.string().min(1);
const file = z.strictObject({
  name: text,
  path: text,
  sizeBytes: z.int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, "not 64 hex digits"),
});

export const projectManifestSchema = z.strictObject({
  ref: text,
  readAt: z.iso.datetime({ offset: true }),
  api: text,
  documents: z.array(file),
  functions: z.array(z.strictObject({ slug: text, files: z.array(file) })),
  absent: z.array(z.strictObject({ name: text, reason: text })),
  notGiven: z.array(z.strictObject({ name: text, what: text, place: text.exactOptional() })),
});

/** What `outside` of a policy calls a secret of a document: `smtp_pass` of auth is `AUTH_SMTP_PASS`. */
export function outsideName(document: string, key: string): string {
  return `${document}_${key}`.toUpperCase().replaceAll(/[^A-Z0-9]+/g, "_");
}
