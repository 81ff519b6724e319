/** The bounds that the figures of the tables are to keep. */
import { names, severalProcesses } from './entrants.ts';
import { placeFor } from './processes.ts';
import { type Bar, type Result, ratio } from './report.ts';

/** `tables` by the name of their part; a bar whose table was not measured has no figure. */
export function barsOf(tables: ReadonlyMap<string, readonly Result[]>): Bar[] {
  const figure = (table: string, pair: readonly [string, string]) => ratio(tables.get(table) ?? [], pair);
  const bars: Bar[] = [1, ...severalProcesses].map((count) => ({
    text: `cached GET, ${names.sqlite(count)}, to the bare server`,
    figure: figure('get', [names.sqlite(count), names.bare(count)]),
    atLeast: 0.75,
    note: byProcessorTime(tables.get('get') ?? [], count),
  }));
  bars.push({
    text: 'cached GET, two workers to one',
    figure: figure('get', [names.sqlite(2), names.sqlite(1)]),
    atLeast: 1.6,
    note: perCpuSecond(tables.get('get') ?? []),
  });
  for (const count of [1, ...severalProcesses]) {
    bars.push({
      text: `durable PUT, ${names.sqlite(count)}, to commits one by one`,
      figure: figure('put', [names.sqlite(count), names.commit]),
      atLeast: 1,
    });
  }
  for (const table of ['get', 'uncached', 'list']) {
    bars.push({
      text: `${table}, two nodes on PostgreSQL to two workers on SQLite`,
      figure: figure(table, [names.postgres(2), names.sqlite(2)]),
      atLeast: 1,
    });
  }
  return bars;
}

/** The same comparison where the load had a core of its own or not: only the servers' own time counts. */
function byProcessorTime(results: readonly Result[], count: number): string | undefined {
  const pair = [names.bare(count), names.sqlite(count)] as const;
  const figure = ratio(results, pair, (sample) => sample.cpu ?? 0);
  return (
    figure && `requests for each second of processor time, to the bare server: ${figure.median.toFixed(2)}`
  );
}

/** What two processes make of a second of processor time, beside one: it does not depend on how many cores are free. */
function perCpuSecond(results: readonly Result[]): string | undefined {
  const of = (name: (count: number) => string) =>
    ratio(results, [name(1), name(2)], (sample) => sample.cpu ?? 0)?.median;
  const [own, bare] = [of(names.sqlite), of(names.bare)];
  if (own === undefined || bare === undefined) return undefined;
  const shared = placeFor(2) === undefined ? ' No second core is free here: the load needs one.' : '';
  return `requests for each second of processor time, two to one: ${own.toFixed(2)}; bare ${bare.toFixed(2)}.${shared}`;
}
