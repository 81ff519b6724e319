/**
 * How an operation through HTTPS is compared with the operation alone. Rates and costs, since each hides something:
 *
 * - "ratio": requests to the ceiling's operations, both a second.
 * - "less load": ratio / (1 - cores that the load used / cores) where the load shared the server's cores, which the ceiling
 *   had to itself; the ratio where it did not.
 * - "by cpu": the ceiling's processor time for an operation to that of all the server's processes for a request. It is
 *   as if the server never waited, and nobody else were on the machine.
 * - "bare", "bare cpu": the same two of a bare `node:https` server that reads the body, does the operation with the call that
 *   Node.js has for it, and answers the bytes that Strongroom answered.
 */
import type { Options } from './options.ts';
import { cores, loadThreads, placeFor } from './processes.ts';
import { type Bar, type Result, type Sample, type Spread, spread, tableRow } from './report.ts';

/** What the contenders with so many processes are called. */
export interface Names {
  readonly processes: number;
  readonly openssl: string | undefined;
  readonly loop: string;
  /** One of the two before. */
  readonly ceiling: string;
  readonly bare: string;
  readonly strongroom: string;
}

/** By round; `bare` is the bare server. */
type Compare = (of: { own: Sample; ceiling: Sample; bare: Sample; processes: number }) => number;

const compared = {
  ratio: ({ own, ceiling }) => own.perSecond / ceiling.perSecond,
  'less load': ({ own, ceiling, processes }) => {
    const share = placeFor(processes) === undefined ? loadShare(own, processes) : 0;
    return own.perSecond / (1 - share) / ceiling.perSecond;
  },
  'by cpu': ({ own, ceiling }) => cpuOf(ceiling) / cpuOf(own),
  bare: ({ own, bare }) => own.perSecond / bare.perSecond,
  'bare cpu': ({ own, bare }) => cpuOf(bare) / cpuOf(own),
} as const satisfies Record<string, Compare>;

function cpuOf({ cpu = Number.NaN }: Sample): number {
  return cpu;
}

/** Of all cores, 0 to 1. */
function loadShare({ loadBusy = 0 }: Sample, processes: number): number {
  return (loadBusy * loadThreads(processes)) / cores;
}

function compare(results: readonly Result[], names: Names, how: keyof typeof compared): Spread {
  const of = (name: string) => results.find((result) => result.name === name)?.samples ?? [];
  const [ceilings, bares] = [of(names.ceiling), of(names.bare)];
  const { processes } = names;
  return spread(
    of(names.strongroom).flatMap((own, round) => {
      const [ceiling, bare] = [ceilings[round], bares[round]];
      return ceiling === undefined || bare === undefined
        ? []
        : [compared[how]({ own, ceiling, bare, processes })];
    }),
  );
}

const comparisons = Object.keys(compared) as (keyof typeof compared)[];

export function printOperation(
  title: string,
  results: readonly Result[],
  { all, options, others }: { all: readonly Names[]; options: Options; others: number },
): void {
  const { connections, seconds } = options;
  console.log(
    `\n${title} (${connections} connections, each round ${seconds} s; others had ${percent(others)} of the processors)`,
  );
  console.log(tableRow(['', 'per s', 'cpu µs', 'p50 ms', 'p99 ms', 'load busy', ...comparisons]));
  for (const result of results) {
    const names = all.find(({ strongroom }) => strongroom === result.name);
    const ratios = names && comparisons.map((how) => compare(results, names, how).median.toFixed(2));
    console.log(tableRow([result.name, ...cellsOf(result), ...(ratios ?? [])]));
  }
}

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function cellsOf({ samples }: Result): string[] {
  const median = (pick: (sample: Sample) => number | undefined, digits: number) => {
    const figure = spread(samples.map((sample) => pick(sample) ?? Number.NaN)).median;
    return Number.isNaN(figure) ? '' : figure.toFixed(digits);
  };
  return [
    median(({ perSecond }) => perSecond, 0),
    median(({ cpu }) => cpu, 1),
    median(({ p50 }) => p50, 2),
    median(({ p99 }) => p99, 2),
    median(({ loadBusy }) => loadBusy, 2),
  ];
}

/** `atLeast` is for the ratio less the load. */
export function barsOf(
  { text, atLeast }: { text: string; atLeast: number },
  results: readonly Result[],
  all: readonly Names[],
): Bar[] {
  return all.map((names) => {
    const of = (how: keyof typeof compared) => compare(results, names, how);
    return {
      text: `${text}, ${names.strongroom} to ${names.ceiling}, less load`,
      figure: of('less load'),
      atLeast,
      note: `by processor time ${textOf(of('by cpu'))}; to ${names.bare} ${textOf(of('bare'))}, by processor time ${textOf(of('bare cpu'))}`,
    };
  });
}

function textOf({ median, least, most }: Spread): string {
  return `${median.toFixed(2)} (${least.toFixed(2)}–${most.toFixed(2)})`;
}
