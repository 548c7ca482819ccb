import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { parsePolicy } from "../policy/index.ts";
import type { Policy } from "../policy/index.ts";
import { operationError } from "./errors.ts";

/** The policy in a file; relative paths in it start at the file's folder. */
export async function loadPolicy(file: string): Promise<Policy> {
  const text = await readPolicyText(file);
  return parsePolicy({ text, file, directory: dirname(resolve(file)) });
}

async function readPolicyText(file: string): Promise<string> {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await readFile(file));
  } catch (thrown) {
    const subject = { file };
    if (thrown instanceof TypeError) {
      throw operationError("policy_unreadable", {
        message: `policy file ${file} that is not UTF-8 text`,
        hint: "Save it as UTF-8.",
        subject,
        cause: thrown,
      });
    }
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
    if (code === "ENOENT") {
      throw operationError("policy_missing", {
        message: `policy file ${file} that does not exist`,
        subject,
        cause: thrown,
      });
    }
    if (typeof code !== "string") throw thrown;
    throw operationError("policy_unreadable", {
      message: `policy file ${file}: ${code}`,
      hint: "Name a file that you may read.",
      subject,
      cause: thrown,
    });
  }
}
