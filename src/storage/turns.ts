/** Work that is done one after the other for each key, and side by side for different keys. */

export interface Turns {
  /** Runs the work when those before it of the same key have ended, however they ended. */
  take<T>(key: string, work: () => Promise<T>): Promise<T>;
}

export function createTurns(): Turns {
  const last = new Map<string, Promise<void>>();
  return {
    take<T>(key: string, work: () => Promise<T>): Promise<T> {
      const before = last.get(key);
      const turn = before === undefined ? begin(work) : before.then(work);
      const ended = turn.then(noop, noop).then(() => {
        if (last.get(key) === ended) last.delete(key);
      });
      last.set(key, ended);
      return turn;
    },
  };
}

/** Work that throws before its first wait fails like any other. */
async function begin<T>(work: () => Promise<T>): Promise<T> {
  return work();
}

function noop(): void {}
