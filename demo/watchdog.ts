import { spawn } from "node:child_process";
import { once } from "node:events";

/**
 * A shell that outlives us by a moment: when its standard input ends without `done`, because we were killed or crashed,
 * it stops the server named last and removes the folder. It ignores the terminal's signals and runs in its own session.
 * SIGQUIT is PostgreSQL's immediate shutdown, which also gives its shared memory back.
 */
const SCRIPT = `
trap '' INT TERM HUP QUIT
pid=
while read -r verb value; do
  case "$verb" in
    pid) pid=$value ;;
    none) pid= ;;
    done) exit 0 ;;
  esac
done
if [ -n "$pid" ]; then
  kill -QUIT "$pid" 2>/dev/null
  n=0
  while kill -0 "$pid" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
  kill -KILL "$pid" 2>/dev/null
fi
rm -rf -- "$1"
`;

export interface Watchdog {
  guard(pid: number | undefined): void;
  /** Ends it without any act; call it after the folder is gone. */
  release(): Promise<void>;
}

export function startWatchdog(folder: string): Watchdog {
  const child = spawn("/bin/sh", ["-c", SCRIPT, "sparekeep-watchdog", folder], {
    stdio: ["pipe", "ignore", "ignore"],
    cwd: "/",
    env: { PATH: "/usr/bin:/bin" },
    detached: true,
  });
  child.unref();
  // A watchdog that is gone (killed by hand) cannot be told anything; our own clean-up does not depend on it.
  child.stdin.on("error", () => undefined);
  return {
    guard: (pid) => child.stdin.write(pid === undefined ? "none\n" : `pid ${pid}\n`),
    release: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.ref();
      const exited = once(child, "exit");
      child.stdin.end("done\n");
      await exited;
    },
  };
}
