/*
 * effects
 *   reads         the policy's sources (catalogs only, READ ONLY), the configuration of their Supabase projects, and repositories (config, keys, snapshots), the audit log
 *   writes        one audit record; into buckets that a plan or a copy writes to an object under sparekeep/probe/, removed or, with Object Lock, locked for a minute
 *   locks         none
 *   leaves behind nothing
 *   exit codes    0; 1 something fails
 */
import { toAppError } from "../kernel/index.ts";
import type { AppError } from "../kernel/index.ts";
import type { Policy } from "../policy/index.ts";
import { destinationNamed, filesDestinationNamed } from "../policy/index.ts";
import { auditFolder, checkAuditLog, recordAccess } from "./audit-log.ts";
import type { OperationContext } from "./context.ts";
import { classFindings } from "./doctor-classes.ts";
import { tokenFindings } from "./doctor-connection.ts";
import { examineDestination, examineFiles } from "./doctor-destination.ts";
import { examineSource } from "./doctor-source.ts";
import type { Finding } from "./finding.ts";

export interface DoctorResult {
  readonly outcome: "ok" | "warn" | "fail";
  readonly findings: readonly Finding[];
}

export interface DoctorOptions {
  readonly policy: Policy;
  readonly nodeVersion: string;
  /** All of the policy where none is named. */
  readonly destination?: string;
  /** False: nothing is written anywhere, and what only a try would tell stays unknown. */
  readonly probe?: boolean;
}

const NODE_MAJOR = 24;

export async function doctor(
  context: OperationContext,
  options: DoctorOptions,
): Promise<DoctorResult> {
  const { policy } = options;
  const names =
    options.destination === undefined ? Object.keys(policy.destinations) : [options.destination];
  const findings = [nodeFinding(options.nodeVersion)];
  findings.push(...(await examined(context, "audit log", () => auditFindings(context, policy))));
  for (const [name, source] of Object.entries(policy.sources)) {
    const subject = `source ${name}`;
    findings.push(
      ...(await examined(context, subject, () => examineSource(context, subject, source))),
      ...(await examined(context, subject, () =>
        tokenFindings(context, subject, { ...source, name }),
      )),
    );
  }
  for (const name of names) {
    const subject = `destination ${name}`;
    const written = options.probe !== false && isWritten(policy, name);
    const examine = examinationOf(policy, name, written);
    findings.push(...(await examined(context, subject, () => examine(context, subject))));
  }
  findings.push(...(await examined(context, "classes", () => classFindings(context, policy))));
  return { outcome: worst(findings), findings };
}

type Examination = (context: OperationContext, subject: string) => Promise<readonly Finding[]>;

/** A wrong name is an error of its own and no finding. */
function examinationOf(policy: Policy, name: string, written: boolean): Examination {
  if (policy.destinations[name]?.files === true) {
    const files = filesDestinationNamed(policy, name);
    return (context, subject) => examineFiles(context, subject, files);
  }
  const repository = destinationNamed(policy, name);
  return (context, subject) =>
    examineDestination(context, subject, repository, { isWritten: written });
}

/** By a plan, or as a copy: what is only read is not written to for a try. */
function isWritten({ plans, destinations }: Policy, name: string): boolean {
  return (
    Object.values(plans).some(({ to }) => to === name) ||
    Object.values(destinations).some(({ copies }) => copies?.includes(name) === true)
  );
}

/** A part that cannot be examined is a finding like any other; only a cancelled run ends early. */
async function examined(
  context: OperationContext,
  subject: string,
  examine: () => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return await examine();
  } catch (thrown) {
    const error = toAppError(thrown);
    if (context.signal.aborted || error.kind === "bug") throw error;
    return [failure(subject, error)];
  }
}

export function failure(subject: string, error: AppError): Finding {
  const { message, hint } = error;
  return { status: "fail", subject, message, ...(hint === undefined ? {} : { fix: hint }) };
}

function worst(findings: readonly Finding[]): Finding["status"] {
  if (findings.some((finding) => finding.status === "fail")) return "fail";
  return findings.some((finding) => finding.status === "warn") ? "warn" : "ok";
}

function nodeFinding(version: string): Finding {
  const major = Number(/^v?(\d+)\./.exec(version)?.[1]);
  if (major >= NODE_MAJOR) return { status: "ok", subject: "Node", message: version };
  const fix = `Install Node ${NODE_MAJOR} or newer.`;
  return { status: "fail", subject: "Node", message: `${version}, too old`, fix };
}

async function auditFindings(
  context: OperationContext,
  policy: Policy,
): Promise<readonly Finding[]> {
  const subject = "audit log";
  await recordAccess(context, policy, "doctor", {});
  const folder = auditFolder(context, policy);
  const report = await checkAuditLog(folder);
  if (report === undefined) return [];
  if (report.findings.length === 0) {
    const message = `${report.records} records, chain unbroken, in ${folder}`;
    return [{ status: "ok", subject, message }];
  }
  return report.findings.map((finding) => ({
    status: finding.fault === "torn_tail" ? "warn" : "fail",
    subject,
    message: `${folder}/audit.jsonl:${finding.line}: ${finding.message}`,
    fix:
      finding.fault === "torn_tail"
        ? "Nothing to do: the next record names these bytes."
        : "Keep the folder as evidence and find out who changed it.",
  }));
}
