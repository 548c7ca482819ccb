import { execFileSync, spawn } from "node:child_process";
import { createCipheriv } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { copyText } from "../../bench/copy-text.ts";
import { build } from "../../bench/build.ts";

const MIB = 1024 * 1024;
/** DESIGN's aim for any backup. */
const LIMIT_MIB = 256;
const CONTENT_MIB = 384;

const folder = mkdtempSync(join(tmpdir(), "sparekeep-memory-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Half as compressible as COPY text is: text with noise between. */
function* content(): Generator<Uint8Array> {
  const text = Buffer.concat([...copyText(4 * MIB)]);
  const cipher = createCipheriv("aes-256-ctr", Buffer.alloc(32, 1), Buffer.alloc(16));
  for (let made = 0; made < CONTENT_MIB; made += 8) {
    yield text;
    yield cipher.update(new Uint8Array(4 * MIB));
  }
}

describe("a backup and a check as they are published", () => {
  // Where there is no /proc the peak cannot be read; continuous integration runs on Linux.
  test.runIf(process.platform === "linux")(
    "stay within their memory, from JavaScript, with its threads, and without a warning",
    async () => {
      const { stdinBackup } = await build();
      const password = join(folder, "password");
      writeFileSync(password, "memory\n", { mode: 0o600 });
      const repository = join(folder, "repository");
      execFileSync(process.execPath, [stdinBackup, "init", repository, password]);
      const child = spawn(process.execPath, [stdinBackup, "backup", repository, password]);
      const output = { out: "", err: "" };
      child.stdout.on("data", (chunk: Buffer) => (output.out += chunk.toString()));
      child.stderr.on("data", (chunk: Buffer) => (output.err += chunk.toString()));
      const ended = once(child, "close");
      let peakMib = 0;
      for (const piece of content()) {
        if (!child.stdin.write(piece)) await once(child.stdin, "drain");
        const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
        peakMib = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
      }
      child.stdin.end();
      const [code] = await ended;
      expect({ code, err: output.err }).toEqual({ code: 0, err: "" });
      expect(JSON.parse(output.out)).toMatchObject({ readBytes: CONTENT_MIB * MIB });
      expect(peakMib).toBeGreaterThan(40);
      expect(peakMib).toBeLessThan(LIMIT_MIB);
      const arguments_ = [stdinBackup, "check", repository, password];
      const checked = execFileSync(process.execPath, arguments_, { encoding: "utf8" });
      const check = JSON.parse(checked) as { findings: number; readBytes: number; peakMib: number };
      expect(check.findings).toBe(0);
      expect(check.readBytes).toBeGreaterThan((CONTENT_MIB / 2) * MIB);
      expect(check.peakMib).toBeLessThan(LIMIT_MIB);
    },
  );
});
