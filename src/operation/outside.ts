import type { Policy } from "../policy/index.ts";

/** Where the policy says that a secret is kept which no API gives back: the place, never the secret. */
export function placeOf({ outside = {} }: Policy, name: string): string | undefined {
  const reference = Object.hasOwn(outside, name) ? outside[name] : undefined;
  if (reference === undefined) return undefined;
  return "env" in reference ? `environment variable ${reference.env}` : `file ${reference.file}`;
}
