/** What `doctor` saw of one thing. */
export interface Finding {
  readonly status: "ok" | "warn" | "fail";
  /** What was looked at: `source database`, `destination local`, `audit log`. */
  readonly subject: string;
  readonly message: string;
  readonly fix?: string;
}
