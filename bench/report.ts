/** Rounds in turn, medians, ratios of the same round, tables and bars. */

/** One round of one contender. Times of requests are milliseconds, costs are microseconds a request. */
export interface Sample {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  /** Processor time of all processes of the server; undefined for what is no server. */
  readonly cpu?: number;
  /** Processor time of PostgreSQL. */
  readonly databaseCpu?: number | undefined;
  /** How busy a thread of the load was, 0 to 1: near 1 it is the load that is measured. */
  readonly loadBusy?: number;
}

export interface Contender {
  readonly name: string;
  /** The contender that its rate is compared with. */
  readonly reference?: string;
  /** Round 0 is for warming up. */
  measure(round: number): Promise<Sample>;
}

export interface Result {
  readonly name: string;
  readonly reference: string | undefined;
  /** By round. */
  readonly samples: readonly Sample[];
}

/** Measures all contenders in each round, so that what disturbs the machine disturbs them alike. */
export async function inTurn(contenders: readonly Contender[], rounds: number): Promise<Result[]> {
  const samples = contenders.map((): Sample[] => []);
  for (let round = 0; round <= rounds; round += 1) {
    for (const [index, contender] of contenders.entries()) {
      const sample = await contender.measure(round);
      if (round > 0) samples[index]?.push(sample);
    }
  }
  return contenders.map(({ name, reference }, index) => ({ name, reference, samples: samples[index] ?? [] }));
}

/** Of several rounds. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export function spread(numbers: readonly number[]): Spread {
  const sorted = [...numbers].sort((a, b) => a - b);
  const at = (index: number) => sorted[index] ?? Number.NaN;
  const middle = (at(Math.floor((sorted.length - 1) / 2)) + at(Math.ceil((sorted.length - 1) / 2))) / 2;
  return { median: middle, least: at(0), most: at(sorted.length - 1) };
}

/** What one contender has of another, round by round; undefined if one of them was not measured. */
export function ratio(
  results: readonly Result[],
  [name, reference]: readonly [string, string],
  pick: (sample: Sample) => number = (sample) => sample.perSecond,
): Spread | undefined {
  const of = results.find((result) => result.name === name)?.samples;
  const to = results.find((result) => result.name === reference)?.samples;
  if (of === undefined || to === undefined) return undefined;
  return spread(of.map((sample, index) => pick(sample) / pick(to[index] ?? sample)));
}

const columns = ['per s', 'ratio', 'p50 ms', 'p99 ms', 'p99.9 ms', 'cpu µs', 'db cpu µs', 'load busy'];

export function printTable(title: string, results: readonly Result[]): void {
  console.log(`\n${title}`);
  console.log(tableRow(['', ...columns]));
  for (const result of results) console.log(tableRow([result.name, ...cellsOf(results, result)]));
}

function cellsOf(results: readonly Result[], { name, reference, samples }: Result): string[] {
  const of = (pick: (sample: Sample) => number | undefined, digits: number) => {
    const { median } = spread(samples.map((sample) => pick(sample) ?? Number.NaN));
    return Number.isNaN(median) ? '' : median.toFixed(digits);
  };
  const compared = reference === undefined ? undefined : ratio(results, [name, reference]);
  return [
    of((sample) => sample.perSecond, 0),
    compared?.median.toFixed(2) ?? '',
    of((sample) => sample.p50, 2),
    of((sample) => sample.p99, 2),
    of((sample) => sample.p999, 2),
    of((sample) => sample.cpu, 0),
    of((sample) => sample.databaseCpu, 0),
    of((sample) => (sample.loadBusy === undefined ? undefined : sample.loadBusy * 100), 0),
  ];
}

export function tableRow(cells: readonly string[]): string {
  return cells.map((cell, index) => (index === 0 ? cell.padEnd(32) : cell.padStart(11))).join('');
}

/** A figure and the bound that it is to keep. */
export interface Bar {
  readonly text: string;
  readonly figure: Spread | undefined;
  readonly atLeast?: number;
  readonly atMost?: number;
  /** What else is to be known of the figure. */
  readonly note?: string | undefined;
}

/** Says which bars were kept; a bar that was not measured is left out. */
export function printBars(bars: readonly Bar[]): void {
  const measured = bars.filter(({ figure }) => figure !== undefined);
  if (measured.length === 0) return;
  console.log('\nBars: median of the rounds, least and most of them');
  for (const { text, figure, atLeast, atMost, note } of measured) {
    if (figure === undefined) continue;
    const kept = figure.median >= (atLeast ?? 0) && figure.median <= (atMost ?? Number.POSITIVE_INFINITY);
    const bound = atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`;
    const range = `${figure.least.toFixed(2)}–${figure.most.toFixed(2)}`;
    console.log(`${kept ? 'pass' : 'MISS'}  ${text}: ${figure.median.toFixed(2)} (${range}), ${bound}`);
    if (note !== undefined) console.log(`      ${note}`);
  }
}
