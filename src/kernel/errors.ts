/**
 * One error type for the whole product (DESIGN §6). The kind alone decides retry, exit code and HTTP status.
 */

export type ErrorKind =
  | "usage"
  | "config"
  | "auth"
  | "not-found"
  | "locked"
  | "unavailable"
  | "exhausted"
  | "corrupt"
  | "incompatible"
  | "objective-missed"
  | "cancelled"
  | "bug";

interface KindRule {
  readonly retry: "never" | "until-deadline" | "backoff" | "reread-once";
  readonly exitCode: number;
  readonly httpStatus: number;
}

/** 3 (incomplete), 10, 11, 12 and 130 are restic's. 10 and 12 hold for a repository only, see {@link exitCodeOf}. */
export const KIND_RULES: Readonly<Record<ErrorKind, KindRule>> = {
  usage: { retry: "never", exitCode: 2, httpStatus: 400 },
  config: { retry: "never", exitCode: 2, httpStatus: 400 },
  auth: { retry: "never", exitCode: 1, httpStatus: 403 },
  "not-found": { retry: "never", exitCode: 1, httpStatus: 404 },
  locked: { retry: "until-deadline", exitCode: 11, httpStatus: 409 },
  unavailable: { retry: "backoff", exitCode: 1, httpStatus: 503 },
  exhausted: { retry: "never", exitCode: 1, httpStatus: 507 },
  corrupt: { retry: "reread-once", exitCode: 20, httpStatus: 500 },
  incompatible: { retry: "never", exitCode: 1, httpStatus: 422 },
  "objective-missed": { retry: "never", exitCode: 21, httpStatus: 500 },
  cancelled: { retry: "never", exitCode: 130, httpStatus: 499 },
  bug: { retry: "never", exitCode: 1, httpStatus: 500 },
};

/** Exit code of a run whose outcome is `incomplete`: a value, not an error. */
export const EXIT_INCOMPLETE = 3;
/** Of a run whose point is `suspect`: like a drill that failed, it was no proof. */
export const EXIT_SUSPECT = KIND_RULES["objective-missed"].exitCode;

export type Subject = Readonly<Record<string, string | number | bigint | boolean>>;

export interface ErrorDetail {
  /** Lower-case noun phrase: what and which. No trailing dot, no "failed to". */
  readonly message: string;
  /** Ids that name the thing, never secrets. */
  readonly subject?: Subject;
  /** One imperative sentence. */
  readonly hint?: string;
  readonly cause?: unknown;
}

export class AppError extends Error {
  readonly code: string;
  readonly kind: ErrorKind;
  readonly subject: Subject;
  readonly hint: string | undefined;

  constructor(code: string, kind: ErrorKind, detail: ErrorDetail) {
    super(detail.message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = "AppError";
    this.code = code;
    this.kind = kind;
    this.subject = detail.subject ?? {};
    this.hint = detail.hint;
  }

  /** The same error with more ids: what inner layers add in place of a second sentence. */
  with(subject: Subject): AppError {
    return new AppError(this.code, this.kind, {
      message: this.message,
      subject: { ...this.subject, ...subject },
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      cause: this.cause ?? this,
    });
  }
}

export interface CodeEntry {
  readonly kind: ErrorKind;
  /** What it means, for `docs/errors.md`. */
  readonly meaning: string;
  /** The fix, where one sentence serves every occurrence. */
  readonly hint?: string;
}

export type ErrorTable<Code extends string> = ((code: Code, detail: ErrorDetail) => AppError) & {
  readonly layer: string;
  readonly codes: Readonly<Record<Code, CodeEntry>>;
};

/** The closed code table of one layer; every `errors.ts` exports exactly one. */
export function errorTable<const Code extends string>(
  layer: string,
  codes: Readonly<Record<Code, CodeEntry>>,
): ErrorTable<Code> {
  const make = (code: Code, detail: ErrorDetail): AppError => {
    const entry = codes[code];
    const hint = detail.hint ?? entry.hint;
    return new AppError(`${layer}.${code}`, entry.kind, {
      ...detail,
      ...(hint === undefined ? {} : { hint }),
    });
  };
  return Object.assign(make, { layer, codes });
}

export const kernelError = errorTable("kernel", {
  cancelled: {
    kind: "cancelled",
    meaning: "The work was asked to stop, by Ctrl-C, a signal or a deadline of the caller.",
  },
  bug: {
    kind: "bug",
    meaning: "Sparekeep reached a state that its authors held impossible.",
    hint: "Report this with the stack that is printed.",
  },
});

/** Wraps whatever was thrown; an AppError passes through, an aborted signal becomes `cancelled`. */
export function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  if (isAbort(thrown)) return kernelError("cancelled", { message: "cancelled", cause: thrown });
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return kernelError("bug", { message: `unexpected error: ${message}`, cause: thrown });
}

export function isAbort(thrown: unknown): boolean {
  return (
    thrown instanceof Error &&
    (thrown.name === "AbortError" || ("code" in thrown && thrown.code === "ABORT_ERR"))
  );
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) {
    const reason: unknown = signal.reason;
    throw reason instanceof AppError
      ? reason
      : kernelError("cancelled", { message: "cancelled", cause: reason });
  }
}

/** For states that types rule out. */
export function bug(message: string, subject?: Subject): AppError {
  return kernelError("bug", { message, ...(subject === undefined ? {} : { subject }) });
}

export function exitCodeOf(error: AppError): number {
  if (error.code === "repository.not_found") return 10;
  if (error.code === "repository.wrong_password") return 12;
  return KIND_RULES[error.kind].exitCode;
}
