import { spawn } from "node:child_process";
import { once } from "node:events";

/**
 * A shell that outlives us by a moment: when its standard input ends without `done`, because we were killed, it ends the
 * processes that it was told of and removes the folder. As demo/watchdog.ts, for servers of several processes.
 */
const SCRIPT = `
trap '' INT TERM HUP QUIT
pids=
while read -r verb value; do
  case "$verb" in
    pid) pids="$pids $value" ;;
    done) exit 0 ;;
  esac
done
[ -n "$pids" ] && kill -KILL $pids 2>/dev/null
rm -rf -- "$1"
`;

export interface Guard {
  watch(pid: number | undefined): void;
  /** Ends it without any act; call it when the processes and the folder are gone. */
  release(): Promise<void>;
}

export function startGuard(folder: string): Guard {
  const child = spawn("/bin/sh", ["-c", SCRIPT, "sparekeep-guard", folder], {
    stdio: ["pipe", "ignore", "ignore"],
    cwd: "/",
    env: { PATH: "/usr/bin:/bin" },
    detached: true,
  });
  child.unref();
  child.stdin.on("error", () => undefined);
  return {
    watch: (pid) => {
      if (pid !== undefined) child.stdin.write(`pid ${pid}\n`);
    },
    release: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.ref();
      const exited = once(child, "exit");
      child.stdin.end("done\n");
      await exited;
    },
  };
}
