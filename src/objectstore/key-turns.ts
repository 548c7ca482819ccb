/** One after the other for the same key, all at once for different ones; only within this process. */
export interface KeyTurns {
  run<Result>(key: string, work: () => Promise<Result>): Promise<Result>;
}

export function createKeyTurns(): KeyTurns {
  const last = new Map<string, Promise<unknown>>();
  return {
    run: async (key, work) => {
      const before = last.get(key);
      // How the one before ended is its caller's business.
      const mine = before === undefined ? work() : before.then(work, work);
      last.set(key, mine);
      try {
        return await mine;
      } finally {
        if (last.get(key) === mine) last.delete(key);
      }
    },
  };
}
