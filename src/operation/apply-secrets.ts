import { AppError, throwIfAborted } from "../kernel/index.ts";
import type { Bytes, Secret } from "../kernel/index.ts";
import type { Policy } from "../policy/index.ts";
import type { SecretNeed, SecretState } from "../restore/index.ts";
import { resolveSecret } from "../secrets/index.ts";
import { createSeal } from "../source/index.ts";
import type { OperationContext } from "./context.ts";

export interface FoundSecrets {
  /** By their names under `outside`; those without a place are not in it. */
  readonly states: ReadonlyMap<string, SecretState>;
  /** In clear, for a request that is on its way. */
  readonly reveal: (name: string) => string;
}

/** Only those that are needed are looked up, where `outside` of the policy says that they are kept. */
export async function secretsFor(
  { env, signal }: OperationContext,
  { outside = {} }: Policy,
  needs: readonly SecretNeed[],
  sealKey: Bytes,
): Promise<FoundSecrets> {
  const seal = createSeal(sealKey);
  const states = new Map<string, SecretState>();
  const values = new Map<string, Secret>();
  for (const { name, sealedAs } of needs) {
    const reference = Object.hasOwn(outside, name) ? outside[name] : undefined;
    if (reference === undefined) continue;
    try {
      const value = await resolveSecret(reference, env);
      values.set(name, value);
      states.set(name, { seal: seal(sealedAs, value.reveal()).sealed });
    } catch (thrown) {
      throwIfAborted(signal);
      if (!(thrown instanceof AppError) || thrown.kind === "bug") throw thrown;
      states.set(name, { problem: thrown.message });
    }
  }
  return {
    states,
    reveal: (name) => {
      const value = values.get(name);
      if (value === undefined) throw new RangeError(`no secret ${name}`);
      return value.reveal();
    },
  };
}
