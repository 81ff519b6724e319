/**
 * What clients saw of a server of several processes, held against its stated model. Times are of one clock, in
 * milliseconds; a process is a name.
 */

interface Span {
  readonly begin: number;
  readonly end: number;
  /** Whom the request was sent to. */
  readonly process: string;
}

/** A request that changes something; `end` is Infinity where no answer said that it was done. */
export interface Step<S> extends Span {
  /** What was asked for, for people. */
  readonly what: string;
  /** What holds once it is done. */
  readonly state: S;
}

/** A request that shows something of the state. */
export interface Look<S> extends Span {
  readonly saw: string;
  fits(state: S): boolean;
}

/** The model, in milliseconds; 0 for nothing that may be stale. */
export interface Bounds {
  /** How long after its answer a change through one process may stay unseen in another. */
  written(from: string, to: string): number;
  /** How long after it was shown by one process a state may stay unseen in another. */
  shown(from: string, to: string): number;
  /** No bound is longer. */
  readonly longest: number;
}

/** States that one client made, one after the other in time, and what all saw of them. */
export interface Timeline<S> {
  readonly initial: S;
  readonly steps: readonly Step<S>[];
  readonly looks: readonly Look<S>[];
}

/**
 * Sentences about looks that no order explains. Each is placed at the earliest state that it can have seen: one that
 * had begun, that no later state had replaced for longer than the bound, and that is not before one seen earlier.
 */
export function checkTimeline<S>({ initial, steps, looks }: Timeline<S>, bounds: Bounds): string[] {
  const problems: string[] = [];
  const states = [initial, ...steps.map(({ state }) => state)];
  /** The state that all must know of by now, and looks that some process need not know of yet. */
  let floor = 0;
  let recent: { look: Look<S>; index: number }[] = [];
  let begun = 0;
  for (const look of [...looks].sort((a, b) => a.begin - b.begin)) {
    recent = recent.filter(({ look: earlier, index }) => {
      const isRecent = earlier.end + bounds.longest >= look.begin;
      if (!isRecent) floor = Math.max(floor, index);
      return isRecent;
    });
    while ((steps[begun]?.begin ?? Number.POSITIVE_INFINITY) < look.begin) begun += 1;
    const first = Math.max(
      floor,
      replaced(steps, begun, { look, bounds }),
      ...recent.map((earlier) => floorBy(earlier, look, bounds)),
    );
    let index = first;
    while (index < states.length && hasBegun(steps[index - 1], look) && !look.fits(states[index] as S))
      index += 1;
    if (index < states.length && hasBegun(steps[index - 1], look)) recent.push({ look, index });
    else problems.push(unexplained(look, steps.slice(Math.max(0, first - 2), first + 2)));
  }
  return problems;
}

function unexplained(look: Look<unknown>, around: readonly Step<unknown>[]): string {
  const known = around.map((step) => `${step.what} by ${step.process} at ${spanText(step)}`);
  return `${look.process} at ${spanText(look)} saw ${look.saw}, around: ${known.join('; ')}`;
}

function hasBegun(step: Span | undefined, look: Span): boolean {
  return step === undefined || step.begin < look.end;
}

/** The number of the last state that the look must have known of; only the first `begun` steps come in question. */
function replaced(
  steps: readonly Span[],
  begun: number,
  { look, bounds }: { look: Span; bounds: Bounds },
): number {
  for (let count = begun; count > 0; count -= 1) {
    const step = steps[count - 1];
    if (step !== undefined && isKnown(step, look, bounds.written)) return count;
  }
  return 0;
}

function isKnown(before: Span, look: Span, bound: Bounds['written']): boolean {
  return before.end + bound(before.process, look.process) < look.begin;
}

/** What one process has shown, it shows from then on; others once the bound is over. */
function floorBy({ look, index }: { look: Span; index: number }, next: Span, bounds: Bounds): number {
  return isKnown(look, next, bounds.shown) ? index : 0;
}

function spanText({ begin, end }: Span): string {
  return `${begin.toFixed(1)}…${end.toFixed(1)}`;
}

/** A request that writes a value which no other writes. */
export interface Write extends Span {
  readonly value: string;
}

/** A request that reads one; undefined where there was none yet. */
export interface Read extends Span {
  readonly value: string | undefined;
}

export interface Register {
  readonly writes: readonly Write[];
  readonly reads: readonly Read[];
}

/**
 * Sentences about what no order of the writes explains, whoever wrote. Every pair of requests of which one must come
 * before the other orders two writes; where that leads in a circle, there is no such order (Gibbons and Korach,
 * "Testing Shared Memories", for registers whose values are all different).
 */
export function checkRegister({ writes, reads }: Register, bounds: Bounds): string[] {
  const known = new Map(writes.map((write) => [write.value, write]));
  const problems: string[] = [];
  for (const read of reads) {
    const write = read.value === undefined ? undefined : known.get(read.value);
    if (read.value !== undefined && write === undefined)
      problems.push(`${read.process} at ${spanText(read)} read ${read.value}, which nobody wrote`);
    else if (write !== undefined && write.begin > read.end)
      problems.push(`${read.process} at ${spanText(read)} read ${read.value} before it was written`);
  }
  const circle = circleIn(orderOf({ writes, reads }, bounds));
  if (circle !== undefined) problems.push(`no order explains ${circle.join(' before ')}`);
  return problems;
}

const nothing = '(nothing)';

/** For each value those that must come after it. */
function orderOf({ writes, reads }: Register, bounds: Bounds): Map<string, Set<string>> {
  const later = new Map<string, Set<string>>([[nothing, new Set(writes.map(({ value }) => value))]]);
  const order = (before: string, after: string) => {
    if (before === after) return;
    const all = later.get(before) ?? new Set();
    later.set(before, all.add(after));
  };
  const readValue = ({ value }: Read) => value ?? nothing;
  for (const write of writes) {
    for (const other of writes) if (write.end < other.begin) order(write.value, other.value);
    for (const read of reads) {
      if (isKnown(write, read, bounds.written)) order(write.value, readValue(read));
      // What was read had been written by then, whoever read it.
      if (read.end < write.begin) order(readValue(read), write.value);
    }
  }
  for (const read of reads)
    for (const next of reads) if (isKnown(read, next, bounds.shown)) order(readValue(read), readValue(next));
  return later;
}

/** Some circle in the graph, its first node again at the end. */
function circleIn(later: ReadonlyMap<string, ReadonlySet<string>>): string[] | undefined {
  const done = new Set<string>();
  for (const start of later.keys()) {
    const path: { node: string; rest: Iterator<string> }[] = [];
    const onPath = new Set<string>();
    const enter = (node: string) => {
      path.push({ node, rest: (later.get(node) ?? new Set<string>()).values() });
      onPath.add(node);
    };
    if (!done.has(start)) enter(start);
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const { value: next, done: isOver } = top.rest.next();
      if (isOver === true) {
        done.add(top.node);
        onPath.delete(top.node);
        path.pop();
      } else if (onPath.has(next)) {
        const nodes = path.map(({ node }) => node);
        return [...nodes.slice(nodes.indexOf(next)), next];
      } else if (!done.has(next)) enter(next);
    }
  }
  return undefined;
}

/** Sentences about versions that were seen with two values; each pair is an id and a value. */
export function checkVersions(seen: Iterable<readonly [id: string, value: string]>): string[] {
  const values = new Map<string, string>();
  const problems: string[] = [];
  for (const [id, value] of seen) {
    const known = values.get(id) ?? value;
    values.set(id, known);
    if (known !== value) problems.push(`version ${id} had the values ${known} and ${value}`);
  }
  return problems;
}

/** Mulberry32: the same numbers from 0 to 1 for the same seed. */
export function randomFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
