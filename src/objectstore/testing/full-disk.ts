/**
 * A child process whose every file is limited in size by the kernel (`ulimit -f`): what a full disk is to a writer
 * where no small file system can be mounted. Puts the objects and prints each one's code as a JSON list.
 */
import { randomBytes } from "node:crypto";
import { AppError } from "../../kernel/index.ts";
import { createFsStore } from "../fs.ts";
import { patternBytes } from "./contract.ts";

const [folder, ...sizes] = process.argv.slice(2);
const store = createFsStore(folder ?? "", { random: randomBytes });
const codes: string[] = [];
for (const [index, size] of sizes.entries()) {
  try {
    await store.put(`data/${index}`, [patternBytes(Number(size), index + 1)], { ifAbsent: true });
    codes.push("stored");
  } catch (thrown) {
    codes.push(thrown instanceof AppError ? thrown.code : String(thrown));
  }
}
process.stdout.write(JSON.stringify(codes));
