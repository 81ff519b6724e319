/**
 * At most so many things at once, and the others wait in the order in which they came. Results of short ones are handed
 * over a few at a time while others wait: what the event loop does about a result (reply, audit record, write) costs much
 * less for a few together than for each alone, since loop and pool thread otherwise take each other's place for every one.
 */

/**
 * Runs at once if there is a free place, else when it is its turn; the outcome is that of what was run. It is told at once,
 * or, while others wait, when as many as make a group have ended, if what then gets the place is short.
 */
export type Turns = <T>(run: () => Promise<T>, kind?: { readonly isShort: boolean }) => Promise<T>;

/** Signatures of RSA-2048, 250 µs each: a result waits for at most a millisecond. More of them save little more. */
const group = 4;

interface Waiting {
  readonly isShort: boolean;
  readonly start: () => void;
}

export function createTurns(places: number): Turns {
  const waiting: Waiting[] = [];
  let free = places;
  let ended: (() => void)[] = [];

  function end(tell: () => void): void {
    ended.push(tell);
    // A place goes from hand to hand, so that nobody who comes later can take it.
    const next = waiting.shift();
    if (next === undefined) free += 1;
    else next.start();
    // What is not told yet is told by the end of the short one that has just begun, at the latest by that of the fourth.
    if (next?.isShort === true && ended.length < group) return;
    const all = ended;
    ended = [];
    for (const each of all) each();
  }
  return (run, { isShort } = { isShort: false }) =>
    new Promise((resolve, reject) => {
      const start = () =>
        void (async () => run())().then(
          (value) => end(() => resolve(value)),
          (error: unknown) => end(() => reject(error)),
        );
      if (free === 0) {
        waiting.push({ isShort, start });
        return;
      }
      free -= 1;
      start();
    });
}
