/** Which api-versions the providers have. There is no default: a request names its version. */
import { Failure } from '../../core/errors.ts';
import type { Query } from '../request-target.ts';

/** The stable versions of each provider, oldest first (OPERATIONS; for the others those that clients are seen to use). */
export const stableVersions = {
  'Microsoft.KeyVault': [
    '2015-06-01',
    '2016-10-01',
    '2018-02-14',
    '2019-09-01',
    '2021-10-01',
    '2022-07-01',
    '2022-11-01',
    '2023-02-01',
    '2023-07-01',
    '2024-11-01',
    '2025-05-01',
    '2026-02-01',
    '2026-04-01',
  ],
  'Microsoft.Resources': [
    '2014-04-01',
    '2015-01-01',
    '2015-11-01',
    '2016-06-01',
    '2016-09-01',
    '2018-05-01',
    '2019-10-01',
    '2019-11-01',
    '2020-01-01',
    '2020-06-01',
    '2020-10-01',
    '2021-01-01',
    '2021-04-01',
    '2022-09-01',
    '2022-12-01',
    '2024-03-01',
    '2024-11-01',
    '2025-04-01',
  ],
  'Microsoft.Authorization': [
    '2015-01-01',
    '2015-07-01',
    '2016-09-01',
    '2017-04-01',
    '2018-07-01',
    '2020-05-01',
    '2022-04-01',
  ],
  'Microsoft.ManagedIdentity': ['2018-11-30', '2023-01-31', '2024-11-30'],
  'Microsoft.Management': ['2018-03-01-preview', '2020-02-01', '2020-05-01', '2021-04-01', '2023-04-01'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

/** Providers whose versions are all known: another date is a version that does not exist. */
const closed: readonly string[] = ['Microsoft.KeyVault'];

const dated = /^(\d{4}-\d{2}-\d{2})(-(?:preview|privatepreview|alpha|beta)(?:\.\d+)?)?$/;

/** The version that the request names, whatever it is; Azure asks for one before anything else. */
export function apiVersionOf(query: Query): string {
  const text = query.get('api-version');
  if (text !== null && text !== '') return text;
  throw new Failure(
    'missingApiVersion',
    'The api-version query parameter (?api-version=) is required for all requests.',
  );
}

/**
 * Throws for a version that the provider does not have. A preview is served as what it led to: any between the
 * provider's first and last stable version. Of providers that clients ask with ever newer dates, every date counts.
 */
export function assertApiVersion(provider: string, text: string): void {
  const versions = versionsOf(provider);
  const [, date, preview] = dated.exec(text) ?? [];
  const [first = ''] = versions;
  const isServed = closed.includes(provider)
    ? versions.includes(text) ||
      (preview !== undefined && date !== undefined && date >= first && date <= (versions.at(-1) ?? ''))
    : date !== undefined && date >= first.slice(0, 10) && isDate(date);
  if (isServed && date !== undefined && isDate(date)) return;
  throw new Failure(
    'invalidApiVersion',
    `The api-version '${text.slice(0, 64)}' is invalid. The supported versions are '${versions.join(',')}'.`,
  );
}

/** A row's part that an api-version may not have. */
export interface Dated {
  readonly provider: string;
  readonly path: string;
  readonly since?: string;
}

/** Throws for a version, one of the provider's, from before the row was there. A preview counts as its date. */
export function assertThereBy({ provider, path, since }: Dated, version: string): void {
  if (since === undefined || version >= since) return;
  const [, after = ''] = /\/providers\/[^/]+\/(.*)$/.exec(path) ?? [];
  const type = after
    .split('/')
    .filter((segment) => !segment.startsWith(':'))
    .join('/');
  const versions = versionsOf(provider).filter((stable) => stable >= since);
  throw new Failure(
    'resourceTypeNotFound',
    `The resource type '${type}' could not be found in the namespace '${provider}' for api version '${version}'. The supported api-versions are '${versions.join(',')}'.`,
  );
}

function versionsOf(provider: string): readonly string[] {
  return stableVersions[provider as keyof typeof stableVersions] ?? stableVersions['Microsoft.Resources'];
}

function isDate(text: string): boolean {
  const time = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}
