import { spawn } from "node:child_process";
import { once } from "node:events";

export interface RunningServer extends AsyncDisposable {
  readonly port: number;
}

export interface ServerCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Its first group is the port, in a line that the server prints once it listens. */
  readonly listening: RegExp;
}

/** A server of ours that listens on a port of its own choice, ended by its id. Throws with its words if it ends early. */
export async function startServer(command: ServerCommand): Promise<RunningServer> {
  const child = spawn(command.program, command.args, {
    env: command.env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "close");
  let output = "";
  const port = await new Promise<number>((resolve, reject) => {
    const hear = (bytes: Buffer): void => {
      output += bytes.toString();
      const found = command.listening.exec(output)?.[1];
      if (found !== undefined) resolve(Number(found));
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.once("error", reject);
    child.once("close", () => reject(new Error(`${command.program} ended:\n${output}`)));
  });
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
}
