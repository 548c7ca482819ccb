import { GATES } from "./gates.js";
import { main } from "./setup/report.js";
import { readyForNode } from "./setup/setup.js";
import { passes } from "./setup/steps.js";

const UNIT = {
  name: "unit tests",
  tool: "vitest",
  args: ["run", "--project", "unit", "--reporter=dot"],
};

// npm run check: every gate, each also after another failed, so that one run shows all that is wrong.
await main(async (signal) => {
  const { env } = await readyForNode(signal);
  let failed = 0;
  for (const step of [...GATES, UNIT]) if (!(await passes(step, { env, signal }))) failed += 1;
  return failed === 0 ? 0 : 1;
});
