/**
 * ISO 8601 durations as the keys API writes them (P90D, P3M, P1Y10D, PT48H): reading, adding to a time, comparing.
 * Times are Unix seconds in UTC. A month has no fixed length, so that adding and comparing have different rules.
 */

/** A duration together with the text that it came in, which is what goes back to the caller. */
export interface Duration {
  readonly text: string;
  /** Years and months. */
  readonly months: number;
  /** Weeks, days and the time part; a day has 86,400 seconds, as always in UTC. */
  readonly seconds: number;
}

export const secondsPerDay = 86_400;

/** Ample for any duration that the API has a use for, and short enough that no number in it is infinite. */
const longestText = 40;
/** A hundred years by `comparableSeconds`. Azure publishes no bound; this is the one that its Terraform provider keeps to. */
const longest = 36_500 * secondsPerDay;

/** ISO 8601-1:2019 §5.5.2.2 and §5.5.2.3, whole numbers only: weeks by themselves, or the other units in order. */
const weeksForm = /^P([0-9]+)W$/;
const unitsForm =
  /^P(?=[0-9T])(?:([0-9]+)Y)?(?:([0-9]+)M)?(?:([0-9]+)D)?(?:T(?=[0-9])(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+)S)?)?$/;

/**
 * Reads a duration; undefined for anything else. Signs, fractions, small letters, an empty P or PT, more than 100 years
 * and more than 40 characters are not accepted. Whether Azure takes weeks is not known; its JSON libraries differ.
 */
export function parseDuration(text: string): Duration | undefined {
  if (text.length > longestText) return undefined;
  const [, weeks] = weeksForm.exec(text) ?? [];
  if (weeks !== undefined) return bounded({ text, months: 0, seconds: Number(weeks) * 7 * secondsPerDay });
  const units = unitsForm.exec(text);
  if (units === null) return undefined;
  const [years = 0, months = 0, days = 0, hours = 0, minutes = 0, seconds = 0] = units
    .slice(1)
    .map((digits) => Number(digits ?? 0));
  return bounded({
    text,
    months: years * 12 + months,
    seconds: days * secondsPerDay + hours * 3600 + minutes * 60 + seconds,
  });
}

function bounded(duration: Duration): Duration | undefined {
  return comparableSeconds(duration) <= longest ? duration : undefined;
}

/**
 * The length in seconds by which durations compare with limits and with each other: a year is 365 days, twelve months
 * are a year, and each month beyond is 30 days. The outcome must not depend on the day on which it is asked for. This
 * is the reading of .NET's `XmlConvert.ToTimeSpan`, in which P1M passes for 28 days and P12M equals P1Y. The real
 * length is at most 2 days less, and at most 7 days and a day for each leap year more.
 */
export function comparableSeconds({ months, seconds }: Duration): number {
  return (Math.floor(months / 12) * 365 + (months % 12) * 30) * secondsPerDay + seconds;
}

/**
 * The time that lies a duration after `at`, for times from 1970 to 9999. By the calendar: first the months, a day that
 * the month does not have becomes its last (31 January and P1M: the last of February), then everything else.
 */
export function addDuration(at: number, { months, seconds }: Pick<Duration, 'months' | 'seconds'>): number {
  return addMonths(at, months) + seconds;
}

/** The time that lies a duration before `at`; months first, by the rules of `addDuration`, of which it is no exact inverse. */
export function subtractDuration(at: number, { months, seconds }: Duration): number {
  return addMonths(at, -months) - seconds;
}

function addMonths(at: number, months: number): number {
  if (months === 0) return at;
  const date = new Date(at * 1000);
  const year = date.getUTCFullYear();
  const month = date.getUTCMonth() + months;
  // Day 0 of a month is the last of the one before.
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  const timeOfDay = at % secondsPerDay;
  return Date.UTC(year, month, Math.min(date.getUTCDate(), lastDay)) / 1000 + timeOfDay;
}
