/**
 * The configuration of one Supabase project, document by document. Where one cannot be read the others are, and the issue
 * names it. What the API does not give out is listed by name.
 */
import { AppError, throwIfAborted } from "../../kernel/index.ts";
import type { Bytes } from "../../kernel/index.ts";
import { outsideName } from "../../manifest/index.ts";
import { DESCRIPTION_VERSION } from "../../supabase/index.ts";
import type { EdgeFunction, ManagementApi, SourceFile } from "../../supabase/index.ts";
import { CUSTOM_HOSTNAME, DOCUMENTS, hasCustomDomain, keepOrganization } from "./documents.ts";
import type { DocumentSource } from "./documents.ts";
import { formatDocument, redactDocument } from "./redact.ts";
import { createSeal } from "./seal.ts";
import type { Seal } from "./seal.ts";

export const PROJECT_API = `Supabase API (v1) ${DESCRIPTION_VERSION}`;

export interface ProjectIssue {
  readonly code: "project_unreadable";
  readonly object: string;
  readonly message: string;
  readonly hint?: string;
}

export interface NotGiven {
  /** As `outside` of the policy names it. */
  readonly name: string;
  readonly what: string;
}

/** Takes each part as it is read: no more than one function's sources are held at once. */
export interface ProjectSink {
  document(name: string, text: string): Promise<void>;
  functionFiles(slug: string, files: readonly SourceFile[]): Promise<void>;
}

export interface ReadProjectOptions {
  /** Of the row hashes: {@link createSeal}. */
  readonly sealKey: Bytes;
  readonly signal: AbortSignal;
  readonly onDocument?: (name: string) => void;
}

export interface ProjectReading {
  readonly ref: string;
  readonly absent: readonly { readonly name: string; readonly reason: string }[];
  readonly notGiven: readonly NotGiven[];
  readonly issues: readonly ProjectIssue[];
}

/** The platform makes these for every project anew. */
const PLATFORM_SECRET = /^SUPABASE_/;

const ALWAYS_OUTSIDE: readonly NotGiven[] = [
  { name: "DATABASE_PASSWORD", what: "the password of the role postgres" },
  {
    name: "JWT_SECRET",
    what: "the legacy JWT secret, of which the anon and service_role keys are made",
  },
  {
    name: "VAULT_ROOT_KEY",
    what: "the root key of Vault, without which its rows cannot be opened",
  },
];

export async function readProject(
  api: ManagementApi,
  options: ReadProjectOptions,
  sink: ProjectSink,
): Promise<ProjectReading> {
  const reader = new Reader(api, options, sink);
  await reader.readAll();
  return reader.reading();
}

class Reader {
  readonly #api: ManagementApi;
  readonly #options: ReadProjectOptions;
  readonly #sink: ProjectSink;
  readonly #seal: Seal;
  readonly #absent: { name: string; reason: string }[] = [];
  readonly #notGiven: NotGiven[] = [...ALWAYS_OUTSIDE];
  readonly #issues: ProjectIssue[] = [];
  /** The API is out of reach or refuses the token: every further question would say the same. */
  #silent = false;

  constructor(api: ManagementApi, options: ReadProjectOptions, sink: ProjectSink) {
    this.#api = api;
    this.#options = options;
    this.#sink = sink;
    this.#seal = createSeal(options.sealKey);
  }

  async readAll(): Promise<void> {
    await this.#project();
    let addons: unknown;
    for (const source of DOCUMENTS) {
      const kept = await this.#document(source);
      if (source.name === "addons") addons = kept;
      if (source.name === "auth-signing-keys" && Array.isArray(kept) && kept.length > 0) {
        const what = "the private halves of the keys that sign JWTs";
        this.#notGiven.push({ name: "AUTH_SIGNING_KEYS", what });
      }
    }
    if (hasCustomDomain(addons)) await this.#document(CUSTOM_HOSTNAME);
    await this.#edgeSecrets();
    await this.#functions();
  }

  reading(): ProjectReading {
    return {
      ref: this.#api.ref,
      absent: this.#absent,
      notGiven: this.#notGiven.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
      issues: this.#issues,
    };
  }

  async #project(): Promise<void> {
    const project = await this.#try("project", () => this.#api.project());
    if (project === undefined) return;
    // Its state of the moment is no configuration.
    const { status: _status, createdAt, ...kept } = project;
    await this.#keep("project", { ...kept, createdAt: createdAt.toISOString() });
    const answer = await this.#try("organization", () =>
      this.#api.organization(project.organization),
    );
    if (answer !== undefined) await this.#keep("organization", keepOrganization(answer));
  }

  async #document(source: DocumentSource): Promise<unknown> {
    const { name, absent } = source;
    const answer = await this.#try(name, () => this.#api.document(source), absent);
    if (answer === undefined) return undefined;
    const kept = source.keep(answer);
    await this.#keep(name, kept);
    return kept;
  }

  async #edgeSecrets(): Promise<void> {
    const secrets = await this.#try("edge-secrets", () => this.#api.edgeSecrets());
    if (secrets === undefined) return;
    const sorted = secrets.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    await this.#sink.document(
      "edge-secrets",
      formatDocument(
        sorted.map(({ name, digest }) => ({ name, ...this.#seal(`edge.${name}`, digest) })),
      ),
    );
    for (const { name } of sorted) {
      if (PLATFORM_SECRET.test(name)) continue;
      this.#notGiven.push({ name, what: "a secret of the Edge Functions" });
    }
  }

  async #functions(): Promise<void> {
    const functions = await this.#try("functions", () => this.#api.functions());
    if (functions === undefined) return;
    const sorted = functions.toSorted((a, b) => (a.slug < b.slug ? -1 : 1));
    await this.#keep(
      "functions",
      sorted.map(({ ...fields }: EdgeFunction) => fields),
    );
    for (const { slug } of sorted) {
      const files = await this.#try(`function ${slug}`, () => this.#api.functionSource(slug));
      if (files !== undefined) await this.#sink.functionFiles(slug, files);
    }
  }

  async #keep(name: string, kept: unknown): Promise<void> {
    if (kept === undefined) {
      this.#issue(name, "an answer that is not of the form described");
      return;
    }
    const { value, sealed } = redactDocument(name, kept, this.#seal);
    await this.#sink.document(name, formatDocument(value));
    for (const { key, why } of sealed) {
      // Always in the list already.
      if (name === "postgrest" && key === "jwt_secret") continue;
      const what =
        why === "secret"
          ? `the secret ${key} of ${name}`
          : `the setting ${key} of ${name}, which this version does not know and keeps as a digest`;
      this.#notGiven.push({ name: outsideName(name, key), what });
    }
  }

  async #try<Value>(
    name: string,
    ask: () => Promise<Value>,
    absent: Readonly<Record<number, string>> = {},
  ): Promise<Value | undefined> {
    throwIfAborted(this.#options.signal);
    if (this.#silent) return undefined;
    this.#options.onDocument?.(name);
    try {
      return await ask();
    } catch (thrown) {
      throwIfAborted(this.#options.signal);
      if (!(thrown instanceof AppError) || !thrown.code.startsWith("supabase.")) throw thrown;
      const status = thrown.subject["status"];
      const reason = typeof status === "number" ? absent[status] : undefined;
      if (reason === undefined) this.#failed(name, thrown);
      else this.#absent.push({ name, reason });
      return undefined;
    }
  }

  #failed(name: string, error: AppError): void {
    this.#silent = [
      "supabase.token_refused",
      "supabase.unavailable",
      "supabase.untrusted",
    ].includes(error.code);
    this.#issue(this.#silent ? `${name} and whatever follows it` : name, error.message, error.hint);
  }

  #issue(name: string, message: string, hint?: string): void {
    this.#issues.push({
      code: "project_unreadable",
      object: `project configuration: ${name}`,
      message,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}
