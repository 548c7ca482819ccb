import type { AppError } from "../kernel/index.ts";
import { printable, printableLines } from "./printable.ts";

/** Message and fix for people. A stack only where the fault is ours. */
export function renderError(error: AppError, color: boolean): string {
  const label = color ? "\u001B[31merror:\u001B[39m" : "error:";
  const lines = [`${label} ${printableLines(error.message)}`];
  if (error.hint !== undefined) lines.push(`  fix: ${printable(error.hint)}`);
  if (error.kind === "bug") lines.push(printableLines(stackOf(error)));
  return `${lines.join("\n")}\n`;
}

function stackOf(error: AppError): string {
  const { cause } = error;
  const own = error.stack ?? "";
  return cause instanceof Error ? `${own}\ncaused by ${cause.stack ?? cause.message}` : own;
}
