/**
 * `wanted`, each after whatever of `wanted` it reads, directly or through other nodes. Views cannot read each other in
 * a circle; a circle in hostile catalogs is cut where it is met.
 */
export function orderByDependency<Node>(
  wanted: readonly Node[],
  readsOf: (node: Node) => readonly Node[],
): readonly Node[] {
  const isWanted = new Set(wanted);
  const visited = new Set<Node>();
  const ordered: Node[] = [];
  for (const start of wanted) {
    // A stack of our own: catalogs may nest deeper than ours.
    const stack = [{ node: start, left: false }];
    for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
      const { node, left } = top;
      if (left) {
        if (isWanted.has(node)) ordered.push(node);
        continue;
      }
      if (visited.has(node)) continue;
      visited.add(node);
      stack.push({ node, left: true });
      for (const read of readsOf(node)) stack.push({ node: read, left: false });
    }
  }
  return ordered;
}
