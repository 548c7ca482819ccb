/**
 * Where a deployed file lies below its function's folder. The path comes from whoever deployed the function, and may point
 * outside on purpose (`../_shared/cors.ts`): a step up becomes `__up__`, a step to the same place nothing. What would
 * fall onto another file gets a number.
 */
const UP = "__up__";

export function placeFile(deployed: string, taken: ReadonlySet<string>): readonly string[] {
  const steps = deployed
    .replace(/^file:\/\//, "")
    .split("/")
    .filter((step) => step !== "" && step !== ".")
    .map((step) => (step === ".." ? UP : step.replaceAll("\0", "_")));
  const path = steps.length === 0 ? ["_"] : steps;
  const last = path.at(-1) ?? "_";
  for (let number = 1; ; number += 1) {
    // The first step moves aside where a file lies in the place of its folder.
    const [first = "_", ...rest] = path;
    const placed =
      number === 1
        ? path
        : blocked(path, taken)
          ? [`${first}~${number}`, ...rest]
          : [...path.slice(0, -1), `${last}~${number}`];
    if (!collides(placed.join("/"), taken)) return placed;
  }
}

/** Also a file where a folder is, or the other way round. */
function collides(path: string, taken: ReadonlySet<string>): boolean {
  for (const other of taken) {
    if (other === path || other.startsWith(`${path}/`) || path.startsWith(`${other}/`)) return true;
  }
  return false;
}

function blocked(path: readonly string[], taken: ReadonlySet<string>): boolean {
  return path.slice(0, -1).some((_step, i) => taken.has(path.slice(0, i + 1).join("/")));
}
