import process from "node:process";
import { installHooks } from "./setup/hooks.js";
import { main, say } from "./setup/report.js";
import { readyForTests } from "./setup/setup.js";

// npm run setup [-- --yes]: everything that the demo and the tests need, and nothing else.
await main(async (signal) => {
  await readyForTests(process.argv.slice(2), signal);
  await installHooks();
  say("Everything is there: npm run demo, npm test, ./sparekeep --help");
  return 0;
});
