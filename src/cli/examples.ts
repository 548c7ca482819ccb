import type { Verb } from "./verb.ts";

export function examplesText(examples: Verb["examples"]): string {
  const lines = examples.map(([command, what]) => `  ${command}\n      ${what}`);
  return `Examples:\n${lines.join("\n")}\n`;
}
