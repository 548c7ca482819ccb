import {
  copyScenario,
  forgetScenario,
  keysScenario,
  passwordScenario,
  pruneScenario,
  rewriteScenario,
} from "./life-scenarios.ts";
import { backupScenario } from "./scenarios.ts";
import type { Scenario } from "./scenarios.ts";

export const SCENARIOS: readonly Scenario[] = [
  backupScenario,
  forgetScenario,
  pruneScenario,
  copyScenario,
  rewriteScenario,
  passwordScenario,
  keysScenario,
];
