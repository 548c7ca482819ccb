import type { AppError } from "../kernel/index.ts";
import { policyError } from "./errors.ts";

/** One thing wrong with the policy file, with the place in it and the way to put it right. */
export interface PolicyProblem {
  readonly line: number;
  readonly column: number;
  readonly message: string;
  readonly fix: string;
}

/** Every problem at once: the file is put right in one go. */
export function problemsError(file: string, problems: readonly PolicyProblem[]): AppError {
  const place = (problem: PolicyProblem): string => `${file}:${problem.line}:${problem.column}`;
  const [first] = problems;
  if (first === undefined) return policyError("invalid", { message: `${file}: an invalid policy` });
  const subject = { file, line: first.line, column: first.column, problems: problems.length };
  if (problems.length === 1) {
    return policyError("invalid", {
      message: `${place(first)}: ${first.message}`,
      hint: first.fix,
      subject,
    });
  }
  return policyError("invalid", {
    message: problems
      .map((problem) => `${place(problem)}: ${problem.message}. ${problem.fix}`)
      .join("\n"),
    hint: `Put these ${problems.length} places right.`,
    subject,
  });
}
