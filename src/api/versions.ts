/** The data plane's api-versions: which are served, and in what order they came. */
import { Failure } from '../core/errors.ts';

/** Stable versions in the order of their publication; later ones have all that earlier ones have. */
const stable = [
  '2016-10-01',
  '7.0',
  '7.1',
  '7.2',
  '7.3',
  '7.4',
  '7.5',
  '7.6',
  '2025-07-01',
  '2026-04-01',
] as const;

/** Previews that brought what no stable version has yet, in the order of their publication; all of them are served. */
const previews = ['2026-05-01-preview', '2026-07-01-preview'] as const;

export type StableVersion = (typeof stable)[number];
/** A version that brought something. */
export type KnownVersion = StableVersion | (typeof previews)[number];

/** A served version: the text that the caller sent, and the place of its features in the order. */
export interface ApiVersion {
  readonly text: string;
  readonly rank: number;
}

/** Previews of another date than the stable version that they led to. */
const earlier: Readonly<Record<string, StableVersion>> = {
  '2025-06-01-preview': '2025-07-01',
  '2026-01-01-preview': '2026-04-01',
  '2026-03-01-preview': '2026-04-01',
};

const latest = '2026-04-01';
const stableRanks = new Map<string, number>(stable.map((version, index) => [version, index]));
const ranks = new Map<string, number>([
  ...stableRanks,
  ...previews.map((version, index) => [version, stable.length + index] as const),
  ...Object.entries(earlier).map(([version, led]) => [version, stable.indexOf(led)] as const),
]);
const preview = /^(.+)-preview(?:\.\d+)?$/;

/**
 * The version named by the request. A preview counts as the stable version that it led to. Throws for a missing or
 * unknown one: there is no default.
 */
export function parseApiVersion(text: string | null): ApiVersion {
  if (text === null || text === '') {
    throw new Failure('badParameter', 'The api-version query parameter is required.');
  }
  const rank = ranks.get(text) ?? stableRanks.get(preview.exec(text)?.[1] ?? '');
  if (rank !== undefined) return { text, rank };
  throw new Failure(
    'badParameter',
    `The specified version (${text.slice(0, 64)}) is not recognized. Consider using the latest supported version (${latest}).`,
  );
}

/** Whether the caller's version has what `since` brought. */
export function has(version: ApiVersion, since: KnownVersion): boolean {
  return version.rank >= (ranks.get(since) ?? Number.POSITIVE_INFINITY);
}
