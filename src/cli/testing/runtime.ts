import { randomBytes } from "node:crypto";
import { PassThrough, Writable } from "node:stream";
import { silentLog, systemClock } from "../../kernel/index.ts";
import type { OperationContext } from "../../operation/index.ts";
import type { CliRuntime } from "../runtime.ts";

/** What a stream was given, as text. */
export class Written extends Writable {
  text = "";
  isTTY = false;
  columns = 80;

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString("utf8");
    done();
  }
}

export interface TestRuntime extends CliRuntime {
  readonly stdout: Written;
  readonly stderr: Written;
}

export function testRuntime(context: OperationContext): TestRuntime {
  return {
    stdin: new PassThrough(),
    stdout: new Written(),
    stderr: new Written(),
    color: false,
    version: "1.2.3",
    nodeVersion: "v24.0.0",
    signal: context.signal,
    env: context.env,
    context: () => Promise.resolve(context),
  };
}

/** The real clock and randomness, cheap keys, nothing of this machine's user. */
export function cliContext(
  stateDirectory: string,
  changes: Partial<OperationContext> = {},
): OperationContext {
  return {
    clock: systemClock,
    random: (size) => randomBytes(size),
    log: silentLog,
    signal: new AbortController().signal,
    actor: "ann",
    hostname: "web1",
    pid: process.pid,
    env: () => undefined,
    toolDirectories: [],
    stateDirectory,
    version: "0.0.0-test",
    keyCost: { N: 1024, r: 8, p: 1 },
    ...changes,
  };
}
