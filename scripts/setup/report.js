/**
 * What set-up says and how it stops. Plain JavaScript without dependencies: it runs before anything is installed,
 * on Node 20.
 */

/** Ends set-up with a message for people and an exit code. */
export class SetupStop extends Error {
  /**
   * @param {string} message
   * @param {number} [exitCode]
   */
  constructor(message, exitCode = 2) {
    super(message);
    this.name = "SetupStop";
    this.exitCode = exitCode;
  }
}

/** Progress of set-up goes to stderr: stdout belongs to what is started afterwards.
 * @param {string} line */
export function say(line) {
  process.stderr.write(`${line}\n`);
}

/**
 * Runs the body of a script; turns what it throws into one message and an exit code.
 * @param {(signal: AbortSignal) => Promise<number>} body
 */
export async function main(body) {
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  const signals = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]);
  for (const name of signals) process.on(name, onSignal);
  try {
    requireStarterNode(process.versions.node);
    process.exitCode = await body(stop.signal);
  } catch (error) {
    if (stop.signal.aborted) {
      say("Stopped. Nothing half installed was left behind.");
      process.exitCode = 130;
      return;
    }
    say(
      error instanceof SetupStop
        ? error.message
        : String(error instanceof Error ? error.stack : error),
    );
    process.exitCode = error instanceof SetupStop ? error.exitCode : 1;
  } finally {
    for (const name of signals) process.off(name, onSignal);
  }
}

/** @param {string} version */
export function requireStarterNode(version) {
  if (Number.parseInt(version, 10) < 20)
    throw new SetupStop(
      `Node ${version} is too old to start the set-up. Install Node 20 or newer; Sparekeep then fetches the Node 24 that it runs on by itself.`,
    );
}
