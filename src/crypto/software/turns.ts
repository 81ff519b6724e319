/** At most so many things at once, and the others wait in the order in which they came. */

/** Runs at once if there is a free place, else when it is its turn; the outcome is that of what was run. */
export type Turns = <T>(run: () => Promise<T>) => Promise<T>;

export function createTurns(places: number): Turns {
  const waiting: (() => void)[] = [];
  let free = places;
  return async (run) => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await run();
    } finally {
      // A place goes from hand to hand, so that nobody who comes later can take it.
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}
