import { counted } from "../kernel/index.ts";
import type { Secret } from "../kernel/index.ts";
import type { Named, Source } from "../policy/index.ts";
import { proveSession } from "../postgres/index.ts";
import { readProject } from "../source/index.ts";
import type { ProjectIssue } from "../source/index.ts";
import type { OperationContext } from "./context.ts";
import type { Finding } from "./finding.ts";
import { managementOf } from "./management.ts";

/** Shown, not inferred from a port: two sessions see one exported snapshot, and each stays on its backend. */
export async function sessionFinding(
  { signal }: OperationContext,
  subject: string,
  url: Secret,
): Promise<Finding> {
  const proof = await proveSession({ url, applicationName: "sparekeep doctor", signal });
  const held = "an exported snapshot holds across connections";
  if (!proof.pooled) return { status: "ok", subject, message: held };
  const message = `${held}, through a pooler in session mode: no change stream passes it`;
  return { status: "ok", subject, message };
}

/** Everything that a backup asks the Management API for, asked and thrown away. */
export async function tokenFindings(
  context: OperationContext,
  subject: string,
  source: Named<Source>,
): Promise<readonly Finding[]> {
  if (source.management_token === undefined) return [];
  const { signal, random } = context;
  const api = await managementOf(context, source);
  const project = await api.project();
  // Which functions there are tells the right to read them; their sources may be large.
  const asked = { ...api, project: async () => project, functionSource: async () => [] };
  const nothing = async (): Promise<void> => {};
  const { issues } = await readProject(
    asked,
    { sealKey: random(SEAL_KEY_BYTES), signal },
    { document: nothing, functionFiles: nothing },
  );
  const { ref, region, status } = project;
  const seen = `management token sees project ${JSON.stringify(project.name)} (${ref}, ${region}), ${status}`;
  return [
    status === "ACTIVE_HEALTHY"
      ? { status: "ok", subject, message: seen }
      : { status: "warn", subject, message: seen, fix: "Look at the project in the dashboard." },
    ...scopeFindings(subject, issues),
  ];
}

const SEAL_KEY_BYTES = 32;

function scopeFindings(subject: string, issues: readonly ProjectIssue[]): readonly Finding[] {
  if (issues.length === 0) {
    const message = "management token may read all of the project's configuration";
    return [{ status: "ok", subject, message }];
  }
  const [first] = issues;
  const names = issues.map(({ object }) => object.replace(/^project configuration: /, ""));
  const message = `${counted(issues.length, "part")} of the project's configuration that the management token does not get: ${names.join(", ")} (${first?.message ?? ""})`;
  const fix = first?.hint;
  return [{ status: "fail", subject, message, ...(fix === undefined ? {} : { fix }) }];
}
