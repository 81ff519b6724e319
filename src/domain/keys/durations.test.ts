/** Proves what counts as a duration, and the calendar at its edges: ends of months, leap years, both directions. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addDuration,
  comparableSeconds,
  type Duration,
  parseDuration,
  secondsPerDay,
  subtractDuration,
} from './durations.ts';

/** Fixed, so that a failure is the same everywhere. */
const seed = 28;

function duration(text: string): Duration {
  const parsed = parseDuration(text);
  if (parsed === undefined) throw new Error(`no duration: ${text}`);
  return parsed;
}

const unix = (iso: string) => Date.parse(iso) / 1000;
const iso = (at: number) => new Date(at * 1000).toISOString().replace('.000Z', 'Z');

interface Units {
  years: number;
  months: number;
  days: number;
  hours: number;
  minutes: number;
  seconds: number;
}

function write({ years, months, days, hours, minutes, seconds }: Units): string {
  const unit = (count: number, letter: string) => (count === 0 ? '' : `${count}${letter}`);
  const date = unit(years, 'Y') + unit(months, 'M') + unit(days, 'D');
  const time = unit(hours, 'H') + unit(minutes, 'M') + unit(seconds, 'S');
  return `P${date}${time === '' ? (date === '' ? '0D' : '') : `T${time}`}`;
}

const anyUnits = fc.record({
  years: fc.nat(60),
  months: fc.nat(200),
  days: fc.nat(5000),
  hours: fc.nat(500),
  minutes: fc.nat(5000),
  seconds: fc.nat(100_000),
});
/** 1970 to the end of 2100, which is no leap year though divisible by four. */
const anyTime = fc.integer({ min: 0, max: unix('2100-12-31T23:59:59Z') });

describe('reading', () => {
  it.each([
    ['P90D', 0, 90 * secondsPerDay],
    ['P3M', 3, 0],
    ['PT48H', 0, 2 * secondsPerDay],
    ['P1Y10D', 12, 10 * secondsPerDay],
    ['P1Y2M3DT4H5M6S', 14, 3 * secondsPerDay + 4 * 3600 + 5 * 60 + 6],
    ['P2W', 0, 14 * secondsPerDay],
    ['P18M', 18, 0],
    ['PT1M', 0, 60],
    ['P1M', 1, 0],
    ['P0D', 0, 0],
    ['P007D', 0, 7 * secondsPerDay],
    ['P1DT1S', 0, secondsPerDay + 1],
  ])('takes %s', (text, months, seconds) => {
    expect(parseDuration(text)).toEqual({ text, months, seconds });
  });

  it.each([
    '',
    'P',
    'PT',
    'P1DT',
    'PT1HT1M',
    '1D',
    '90',
    'D90P',
    'P90',
    'P90d',
    'p90D',
    'P3m',
    '-P90D',
    'P-90D',
    '+P90D',
    'P+90D',
    'P1.5D',
    'P1,5D',
    'PT0.5S',
    'P1D1Y',
    'P1M1Y',
    'P1H',
    'PT1D',
    'PT1S1M',
    'P1D1D',
    'P1Y2W',
    'P2W1D',
    'P2WT1H',
    ' P90D',
    'P90D ',
    'P90D\n',
    'P 90D',
    'P90D\0',
    'P٩D',
    'P９D',
    'P1e2D',
    'P0x5D',
    'PD',
    'PM',
    'PTH',
    'P∞D',
    'P90DP90D',
    'P2026-01-01T00:00:00',
  ])('refuses %j', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  it('takes a hundred years and nothing longer, in whatever unit', () => {
    const edges = [
      ['P100Y', 'P101Y'],
      ['P1200M', 'P1201M'],
      ['P36500D', 'P36501D'],
      ['P5214W', 'P5215W'],
      ['PT876000H', 'PT876001H'],
      ['PT52560000M', 'PT52560001M'],
      ['PT3153600000S', 'PT3153600001S'],
      ['P99Y365D', 'P99Y366D'],
      ['P100YT0S', 'P100YT1S'],
    ];
    for (const [longest = '', longer = ''] of edges) {
      expect(parseDuration(longest)?.text).toBe(longest);
      expect(parseDuration(longer)).toBeUndefined();
    }
  });

  it('refuses overlong texts, also those that only pad a small number, and numbers beyond all bounds', () => {
    expect(parseDuration(`P${'0'.repeat(37)}7D`)?.seconds).toBe(7 * secondsPerDay);
    expect(parseDuration(`P${'0'.repeat(38)}7D`)).toBeUndefined();
    expect(parseDuration(`P${'9'.repeat(38)}D`)).toBeUndefined();
    expect(parseDuration(`P${'9'.repeat(38)}Y`)).toBeUndefined();
    expect(parseDuration(`P${'9'.repeat(1_000_000)}Y`)).toBeUndefined();
  });

  it('keeps the text, and reads every duration that can be written', () => {
    fc.assert(
      fc.property(anyUnits, (units) => {
        const text = write(units);
        const { years, months, days, hours, minutes, seconds } = units;
        expect(parseDuration(text)).toEqual({
          text,
          months: years * 12 + months,
          seconds: days * secondsPerDay + hours * 3600 + minutes * 60 + seconds,
        });
      }),
      { seed },
    );
  });

  it('answers any text, and only with that text', () => {
    const near = fc.string({ unit: fc.constantFrom(...'PT0123456789YMWDHS.-+, '), maxLength: 45 });
    fc.assert(
      fc.property(fc.oneof(fc.string(), near), (text) => {
        const parsed = parseDuration(text);
        if (parsed === undefined) return;
        expect(parsed.text).toBe(text);
        expect(Number.isSafeInteger(parsed.months) && parsed.months >= 0).toBe(true);
        expect(Number.isSafeInteger(parsed.seconds) && parsed.seconds >= 0).toBe(true);
      }),
      { seed, numRuns: 2000 },
    );
  });
});

describe('comparing', () => {
  it.each([
    ['P28D', 28],
    ['P4W', 28],
    ['PT672H', 28],
    ['P1M', 30],
    ['P2M', 60],
    ['P11M', 330],
    ['P12M', 365],
    ['P18M', 545],
    ['P24M', 730],
    ['P1Y', 365],
    ['P1Y10D', 375],
    ['P1Y13M', 760],
    ['P4Y', 1460],
  ])('%s has %i days', (text, days) => {
    expect(comparableSeconds(duration(text))).toBe(days * secondsPerDay);
  });

  it('is true to the calendar within the bounds that it names', () => {
    fc.assert(
      fc.property(anyTime, anyUnits, (at, units) => {
        const parsed = parseDuration(write(units));
        fc.pre(parsed !== undefined);
        const most = 7 + Math.ceil(parsed.months / 48);
        for (const real of [addDuration(at, parsed) - at, at - subtractDuration(at, parsed)]) {
          const more = (real - comparableSeconds(parsed)) / secondsPerDay;
          expect(more).toBeGreaterThanOrEqual(-2);
          expect(more).toBeLessThanOrEqual(most);
        }
      }),
      { seed, numRuns: 2000 },
    );
  });
});

describe('adding and subtracting', () => {
  it.each([
    // Recorded: versions rotated under expiryTime P90D and P30D.
    ['2023-03-28T22:07:33Z', 'P90D', '2023-06-26T22:07:33Z'],
    ['2023-11-06T12:57:30Z', 'P30D', '2023-12-06T12:57:30Z'],
    ['2026-01-31T10:20:30Z', 'P1M', '2026-02-28T10:20:30Z'],
    ['2028-01-31T10:20:30Z', 'P1M', '2028-02-29T10:20:30Z'],
    ['2026-01-28T00:00:00Z', 'P1M', '2026-02-28T00:00:00Z'],
    ['2026-03-31T23:59:59Z', 'P1M', '2026-04-30T23:59:59Z'],
    ['2026-12-31T00:00:00Z', 'P2M', '2027-02-28T00:00:00Z'],
    ['2026-11-30T00:00:00Z', 'P3M', '2027-02-28T00:00:00Z'],
    ['2026-02-28T00:00:00Z', 'P1M', '2026-03-28T00:00:00Z'],
    ['2024-02-29T12:00:00Z', 'P1Y', '2025-02-28T12:00:00Z'],
    ['2024-02-29T12:00:00Z', 'P4Y', '2028-02-29T12:00:00Z'],
    ['2096-02-29T12:00:00Z', 'P4Y', '2100-02-28T12:00:00Z'],
    ['2000-02-29T00:00:00Z', 'P100Y', '2100-02-28T00:00:00Z'],
    ['2026-05-15T00:00:00Z', 'P12M', '2027-05-15T00:00:00Z'],
    ['2026-05-15T00:00:00Z', 'P18M', '2027-11-15T00:00:00Z'],
    // Months first: 28 February, and a day more; not 31 January, and a month more.
    ['2026-01-30T00:00:00Z', 'P1M1D', '2026-03-01T00:00:00Z'],
    ['2026-02-28T23:00:00Z', 'PT2H', '2026-03-01T01:00:00Z'],
    ['2026-12-31T23:59:59Z', 'PT1S', '2027-01-01T00:00:00Z'],
    ['2026-01-30T23:30:00Z', 'P1MT45M', '2026-03-01T00:15:00Z'],
    ['1970-01-01T00:00:00Z', 'P1M', '1970-02-01T00:00:00Z'],
    // The hour that Europe's and America's clocks skip exists in UTC.
    ['2026-03-28T01:30:00Z', 'P1D', '2026-03-29T01:30:00Z'],
  ])('%s and %s make %s', (from, text, to) => {
    expect(iso(addDuration(unix(from), duration(text)))).toBe(to);
  });

  it.each([
    ['2026-03-31T10:20:30Z', 'P1M', '2026-02-28T10:20:30Z'],
    ['2028-03-31T10:20:30Z', 'P1M', '2028-02-29T10:20:30Z'],
    ['2028-02-29T00:00:00Z', 'P1Y', '2027-02-28T00:00:00Z'],
    ['2028-02-29T00:00:00Z', 'P4Y', '2024-02-29T00:00:00Z'],
    ['2026-01-15T00:00:00Z', 'P1M', '2025-12-15T00:00:00Z'],
    ['2026-01-15T00:00:00Z', 'P13M', '2024-12-15T00:00:00Z'],
    ['2026-05-31T00:00:00Z', 'P3M1D', '2026-02-27T00:00:00Z'],
    ['2026-03-01T00:00:00Z', 'PT1S', '2026-02-28T23:59:59Z'],
    ['2023-06-26T22:07:33Z', 'P30D', '2023-05-27T22:07:33Z'],
    ['1970-01-01T00:00:00Z', 'P100Y', '1870-01-01T00:00:00Z'],
    ['9999-12-31T23:59:59Z', 'P100Y', '9899-12-31T23:59:59Z'],
  ])('%s less %s is %s', (from, text, to) => {
    expect(iso(subtractDuration(unix(from), duration(text)))).toBe(to);
  });

  it('by months lands in the month that it should, at the same time of day, on the same day or the last', () => {
    fc.assert(
      fc.property(anyTime, fc.integer({ min: -1200, max: 1200 }), (at, months) => {
        const parsed = duration(`P${Math.abs(months)}M`);
        const from = new Date(at * 1000);
        const to = new Date((months < 0 ? subtractDuration(at, parsed) : addDuration(at, parsed)) * 1000);
        const index = (date: Date) => date.getUTCFullYear() * 12 + date.getUTCMonth();
        expect(index(to) - index(from)).toBe(months);
        expect(to.toISOString().slice(10)).toBe(from.toISOString().slice(10));
        const nextDay = new Date(to.getTime() + secondsPerDay * 1000);
        if (to.getUTCDate() !== from.getUTCDate()) {
          expect(to.getUTCDate()).toBeLessThan(from.getUTCDate());
          expect(nextDay.getUTCDate()).toBe(1);
        }
      }),
      { seed, numRuns: 2000 },
    );
  });

  it('never gets less from more', () => {
    fc.assert(
      fc.property(anyTime, anyUnits, anyUnits, (at, units, extra) => {
        const more = { ...units };
        for (const unit of Object.keys(units) as (keyof Units)[]) more[unit] += extra[unit];
        const [less, greater] = [parseDuration(write(units)), parseDuration(write(more))];
        fc.pre(less !== undefined && greater !== undefined);
        expect(addDuration(at, greater)).toBeGreaterThanOrEqual(addDuration(at, less));
        expect(subtractDuration(at, greater)).toBeLessThanOrEqual(subtractDuration(at, less));
        expect(comparableSeconds(greater)).toBeGreaterThanOrEqual(comparableSeconds(less));
      }),
      { seed, numRuns: 2000 },
    );
  });

  it('undo each other where there are no months', () => {
    fc.assert(
      fc.property(anyTime, anyUnits, (at, units) => {
        const parsed = parseDuration(write({ ...units, years: 0, months: 0 }));
        fc.pre(parsed !== undefined);
        expect(subtractDuration(addDuration(at, parsed), parsed)).toBe(at);
        expect(addDuration(at, parsed) - at).toBe(comparableSeconds(parsed));
      }),
      { seed },
    );
  });
});
